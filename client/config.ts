import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { EssError } from '../shared/index.js'

/** What a person has written down once: a server, and the token that it wants. */
export interface Config {
  readonly server?: string
  readonly token?: string
  /** An absolute path; in the file it starts from the file's own folder. */
  readonly tokenFile?: string
}

const KEYS: readonly string[] = ['server', 'token', 'tokenFile'] satisfies readonly (keyof Config)[]

/**
 * Reads `ess/config.json` in `XDG_CONFIG_HOME`, or else in `~/.config`; empty where there is none. Throws EssError
 * `usage` for one that is not as it should be, which shows nothing of what is in it but the name of a key.
 */
export async function readConfig(env: Readonly<Record<string, string | undefined>>): Promise<Config> {
  const { XDG_CONFIG_HOME, HOME } = env
  // The XDG specification has a relative one ignored.
  const folder = XDG_CONFIG_HOME?.startsWith('/') ? XDG_CONFIG_HOME : HOME && join(HOME, '.config')
  if (!folder) return {}
  const path = join(folder, 'ess', 'config.json')
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw new EssError('usage', `Expected to read ${path}, got ${error.code}`)
  })
  if (text === undefined) return {}
  const config = parseConfig(text, path)
  return config.tokenFile === undefined
    ? config
    : { ...config, tokenFile: resolve(dirname(path), config.tokenFile) }
}

function parseConfig(text: string, path: string): Config {
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch {
    // Its message would quote the file.
    throw new EssError('usage', `Expected ${path} to be JSON`)
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new EssError('usage', `Expected ${path} to be an object`)
  for (const [key, value] of Object.entries(config)) {
    if (!KEYS.includes(key))
      throw new EssError('usage', `Expected ${KEYS.join(', ')} in ${path}, got ${JSON.stringify(key)}`)
    if (typeof value !== 'string') throw new EssError('usage', `Expected ${key} in ${path} to be text`)
  }
  return config // Every member has been looked at.
}
