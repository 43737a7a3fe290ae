import { checkToken } from '../http/bearer.js'
import type { Config } from './config.js'
import type { Io } from './io.js'
import { flagOf, OPTIONS } from './options.js'
import { readSecretFile } from './secret-file.js'

/** Where `ess` was told to find its token. */
export interface TokenSource {
  /** The value of `--token-file`. */
  readonly tokenFile: string | undefined
  /** The configuration if it is for this server; otherwise empty. */
  readonly configured: Config
}

/**
 * Reads the token: from `--token-file`, else from `ESS_TOKEN`, else from the file that `ESS_TOKEN_FILE` names, else
 * from the configuration. Undefined if none of them names one. It never comes from the command line, which every user
 * of the machine can read. Throws EssError `usage` or `file-unreadable`; neither shows the token.
 */
export async function readToken(
  { tokenFile, configured }: TokenSource,
  { env, cwd }: Pick<Io, 'env' | 'cwd'>,
): Promise<string | undefined> {
  const found = findToken({ tokenFile, configured }, env)
  if (found === undefined) return undefined
  if ('token' in found) return checkToken(found.token, found.namedBy)
  return await readTokenFile(found.path, found.namedBy, cwd)
}

/** Where the token comes from, in words that follow a verb. Undefined if there is none. */
export function sourceOfToken(source: TokenSource, env: Io['env']): string | undefined {
  const found = findToken(source, env)
  if (found === undefined) return undefined
  if ('path' in found) return `the token in the file that ${found.namedBy} names`
  return found.namedBy === OPTIONS.token.variable ? `the token in ${found.namedBy}` : found.namedBy
}

type Found =
  | { readonly namedBy: string; readonly token: string }
  | { readonly namedBy: string; readonly path: string }

function findToken({ tokenFile, configured }: TokenSource, env: Io['env']): Found | undefined {
  const tokenInVariable = env[OPTIONS.token.variable] || undefined
  if (tokenFile === undefined && tokenInVariable !== undefined)
    return { namedBy: OPTIONS.token.variable, token: tokenInVariable }
  const fileInVariable = env[OPTIONS.tokenFile.variable] || undefined
  if (tokenFile === undefined && fileInVariable === undefined && configured.token !== undefined)
    return { namedBy: 'the token in config.json', token: configured.token }
  const files = [
    { namedBy: `--${flagOf('tokenFile')}`, path: tokenFile },
    { namedBy: OPTIONS.tokenFile.variable, path: fileInVariable },
    { namedBy: 'config.json', path: configured.tokenFile },
  ]
  for (const { namedBy, path } of files) if (path !== undefined) return { namedBy, path }
  return undefined
}

async function readTokenFile(path: string, namedBy: string, cwd: string | undefined): Promise<string> {
  const text = await readSecretFile(path, { namedBy, what: 'token' }, cwd)
  return checkToken(text.toString().trim(), `the token in ${path}`)
}
