import { readFile } from 'node:fs/promises'
import { EssError } from '../../shared/index.js'
import { checkToken } from '../http/bearer.js'
import { codeOf, errnoWords } from '../node/errno-words.js'
import type { Config } from './config.js'
import { absolute } from './current-folder.js'
import type { Io } from './io.js'
import { flagOf, OPTIONS } from './options.js'

/** Where `ess` was told to find its token. */
export interface TokenSource {
  /** The value of `--token-file`. */
  readonly tokenFile: string | undefined
  /** The configuration if it is for this server; otherwise empty. */
  readonly configured: Config
}

const NO_FILE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']

/**
 * Reads the token: from `--token-file`, else from `ESS_TOKEN`, else from the file that `ESS_TOKEN_FILE` names, else
 * from the configuration. Undefined if none of them names one. It never comes from the command line, which every user
 * of the machine can read. Throws EssError `usage` or `file-unreadable`; neither shows the token.
 */
export async function readToken(
  { tokenFile, configured }: TokenSource,
  { env, cwd }: Pick<Io, 'env' | 'cwd'>,
): Promise<string | undefined> {
  const tokenInVariable = env[OPTIONS.token.variable] || undefined
  if (tokenFile === undefined && tokenInVariable !== undefined)
    return checkToken(tokenInVariable, OPTIONS.token.variable)
  const fileInVariable = env[OPTIONS.tokenFile.variable] || undefined
  if (tokenFile === undefined && fileInVariable === undefined && configured.token !== undefined)
    return checkToken(configured.token, 'the token in config.json')
  const files = [
    { namedBy: `--${flagOf('tokenFile')}`, path: tokenFile },
    { namedBy: OPTIONS.tokenFile.variable, path: fileInVariable },
    { namedBy: 'config.json', path: configured.tokenFile },
  ]
  for (const { namedBy, path } of files)
    if (path !== undefined) return await readTokenFile(path, namedBy, cwd)
  return undefined
}

async function readTokenFile(path: string, namedBy: string, cwd: string | undefined): Promise<string> {
  const text = await readFile(absolute(cwd, path), 'utf8').catch((error: unknown) => {
    const code = codeOf(error) || 'unknown'
    // If there is no such file, its "name" may be the token itself, put in the wrong place. Node's error would quote
    // it.
    if (NO_FILE.includes(code))
      throw new EssError(
        'file-unreadable',
        `The file that ${namedBy} names does not exist. Correct its path.`,
      )
    throw new EssError(
      'file-unreadable',
      `Cannot read the token in ${path}: ${errnoWords('read', error) ?? code}. Name a file that you may read.`,
      { cause: error },
    )
  })
  return checkToken(text.trim(), `the token in ${path}`)
}
