import { readdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { EssError } from '../../shared/index.js'
import { nearestFile } from '../http/nearest-name.js'
import { codeOf } from '../node/errno-words.js'
import { NOT_UTF8 } from './raw-arguments.js'

/** The error for a file that isn't there. It names the file in that folder that was probably meant. */
export async function missing(path: string, cause: unknown): Promise<EssError> {
  return new EssError('file-unreadable', await sentencesFor(path), { cause })
}

async function sentencesFor(path: string): Promise<string> {
  const sentence = `There is no file ${path}.`
  // If we could not get the bytes of such a name, we asked for another name.
  if (path.includes(NOT_UTF8))
    return `${sentence} If its name is not UTF-8, pipe it in: ess send --name NAME < FILE`
  const folder = dirname(path)
  const files = await readdir(folder).catch(codeOf)
  if (files === 'ENOENT') return `There is no folder ${folder}. Check the path.`
  const near = typeof files === 'string' ? undefined : nearestFile(basename(path), files)
  return `${sentence} ${near === undefined ? 'Check the name and the folder.' : `Did you mean ${near}?`}`
}
