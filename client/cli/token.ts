import { readFile } from 'node:fs/promises'
import { EssError } from '../../shared/index.js'
import { DEFAULT_SERVER } from '../send/send-options.js'
import type { Config } from './config.js'
import { absolute } from './current-folder.js'
import type { Io } from './io.js'

/** What a request needs to know to give a token to nobody but its server. */
export interface TokenOptions {
  readonly server?: string | URL | undefined
  readonly token?: string | undefined
}

/**
 * The header that carries the token (RFC 6750, 2.1), for a request to `url`; none where there is no token, and none
 * to any other origin than the server's own: a link that was pasted from elsewhere must not get it.
 * Throws EssError `usage` for a token that cannot be one.
 */
export function bearer(
  url: URL,
  { server = DEFAULT_SERVER, token }: TokenOptions,
): { authorization?: string } {
  if (token === undefined) return {}
  checkToken(token, 'the token')
  const own = String(server)
  if (!URL.canParse(own) || new URL(own).origin !== url.origin) return {}
  // Both would go into the same header.
  if (url.username !== '' || url.password !== '')
    throw new EssError('usage', 'Expected a token, or a password in the URL, got both')
  return { authorization: `Bearer ${token}` }
}

/** Where `ess` was told to find its token. */
export interface TokenSource {
  /** `--token-file`. */
  readonly tokenFile: string | undefined
  /** The configuration, where it is the server's own. */
  readonly configured: Config
}

const NO_FILE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']

/**
 * The token of `--token-file`, or else of `ESS_TOKEN`, or else of the file that `ESS_TOKEN_FILE` names, or else of the
 * configuration; undefined where there is none. Never one from the command line, which every user of the machine can read.
 * Throws EssError `usage`, and `file-unreadable`, neither of which shows it.
 */
export async function readToken(
  { tokenFile, configured }: TokenSource,
  { env, cwd }: Pick<Io, 'env' | 'cwd'>,
): Promise<string | undefined> {
  const ownToken = env['ESS_TOKEN'] || undefined
  if (tokenFile === undefined && ownToken !== undefined) return checkToken(ownToken, 'ESS_TOKEN')
  const named = tokenFile ?? (env['ESS_TOKEN_FILE'] || undefined)
  if (named === undefined && configured.token !== undefined)
    return checkToken(configured.token, 'the token in config.json')
  const path = named ?? configured.tokenFile
  if (path === undefined) return undefined
  const namedBy =
    tokenFile !== undefined ? '--token-file' : named !== undefined ? 'ESS_TOKEN_FILE' : 'config.json'
  const text = await readFile(absolute(cwd, path), 'utf8').catch((error: NodeJS.ErrnoException) => {
    const { code = 'unknown' } = error
    // Where no such file is, its name may be the token itself, put in the wrong place. Node's error quotes it, too.
    if (NO_FILE.includes(code))
      throw new EssError('file-unreadable', `Cannot read the file that ${namedBy} names: ${code}`)
    throw new EssError('file-unreadable', `Cannot read the token in ${path}: ${code}`, { cause: error })
  })
  return checkToken(text.trim(), `the token in ${path}`)
}

/** It stands in a header as it is; what was pasted with a quote or a line end too many is seen here. */
function checkToken(token: string, what: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token
  throw new EssError('usage', `Expected ${what} to be printable ASCII without spaces`)
}
