import { readFile } from 'node:fs/promises'
import { EssError } from '../../shared/index.js'
import { checkToken } from '../http/bearer.js'
import { codeOf } from '../node/errno-words.js'
import type { Config } from './config.js'
import { absolute } from './current-folder.js'
import type { Io } from './io.js'

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
  const text = await readFile(absolute(cwd, path), 'utf8').catch((error: unknown) => {
    const code = codeOf(error) || 'unknown'
    // Where no such file is, its name may be the token itself, put in the wrong place. Node's error quotes it, too.
    if (NO_FILE.includes(code))
      throw new EssError('file-unreadable', `Cannot read the file that ${namedBy} names: ${code}`)
    throw new EssError('file-unreadable', `Cannot read the token in ${path}: ${code}`, { cause: error })
  })
  return checkToken(text.trim(), `the token in ${path}`)
}
