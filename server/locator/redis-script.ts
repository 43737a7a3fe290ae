import { createHash } from 'node:crypto'
import { isRefusal, type Reply } from './redis-connection.js'
import type { RedisLink } from './redis-link.js'

/** A script that Redis runs as one step. */
export interface Script {
  readonly text: string
  /** By this, Redis knows a script that it has seen. */
  readonly digest: string
}

export function scriptOf(text: string): Script {
  return { text, digest: createHash('sha1').update(text).digest('hex') }
}

/** Runs a script. The whole text is sent only when Redis hasn't seen it since its start. */
export async function runScript(
  link: RedisLink,
  { text, digest }: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<Reply> {
  const rest = [String(keys.length), ...keys, ...args]
  try {
    return await link.ask('EVALSHA', digest, ...rest)
  } catch (error) {
    if (!isRefusal(error) || !error.message.startsWith('NOSCRIPT ')) throw error
    return await link.ask('EVAL', text, ...rest)
  }
}
