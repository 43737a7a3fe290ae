import { readFile } from 'node:fs/promises'
import { EssError } from '../../shared/index.js'
import { codeOf, errnoWords } from '../node/errno-words.js'
import { absolute } from './current-folder.js'

const NO_FILE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']

/**
 * Reads the file of a secret; `what` is the secret's noun, such as "token". Throws EssError `file-unreadable`, or `usage` for an
 * empty path. If there is no such file, its "name" may be the secret itself, put in the wrong place: so the message doesn't
 * quote it.
 */
export async function readSecretFile(
  path: string,
  { namedBy, what }: { readonly namedBy: string; readonly what: string },
  cwd: string | undefined,
): Promise<Buffer> {
  if (path === '') throw new EssError('usage', `${namedBy} is empty. Name the file of your ${what}.`)
  return await readFile(absolute(cwd, path)).catch((error: unknown) => {
    const code = codeOf(error) || 'unknown'
    if (NO_FILE.includes(code))
      throw new EssError(
        'file-unreadable',
        `The file that ${namedBy} names does not exist. Correct its path.`,
      )
    throw new EssError(
      'file-unreadable',
      `Cannot read the ${what} in ${path}: ${errnoWords('read', error) ?? code}. Name a file that you may read.`,
      { cause: error },
    )
  })
}
