import { readdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { EssError } from '../../shared/index.js'
import { NOT_UTF8 } from '../files/raw-arguments.js'
import { nearestFile } from '../http/nearest-name.js'

/** The error for a file that isn't there. It names the file in that folder that was probably meant. */
export async function missing(path: string, cause: unknown): Promise<EssError> {
  return new EssError('file-unreadable', `There is no file ${path}. ${await adviceFor(path)}`, { cause })
}

async function adviceFor(path: string): Promise<string> {
  // If we could not get the bytes of such a name, we asked for another name.
  if (path.includes(NOT_UTF8)) return 'If its name is not UTF-8, pipe it in: ess send --name NAME < FILE'
  const folder = dirname(path)
  const files = await readdir(folder).catch(() => undefined) // The folder may be missing too, or be private.
  if (files === undefined) return `The folder ${folder} cannot be read. Check the path.`
  const near = nearestFile(basename(path), files)
  return near === undefined ? 'Check the name and the folder.' : `Did you mean ${near}?`
}
