import { constants, fstatSync, openSync } from 'node:fs'
import { EssError, formatCount, formatNumber } from '../../../shared/index.js'
import { codeOf, errnoWords } from '../../node/errno-words.js'
import { type FileEntry, placeOf } from './entry.js'
import { shownName } from './names.js'

/**
 * A pipe may have taken the file's place, and to open one without this would wait for ever. Windows has neither.
 */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0)

/** Opens the file of an entry, which may be another one by now: call `checkAsSeen` after each read. */
export function openEntry(entry: FileEntry): number {
  try {
    return openSync(placeOf(entry), FLAGS)
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error))) throw unreadable(entry, error)
    throw changed(entry, 'it is not there any more', error)
  }
}

/** Throws EssError `file-changed` if the open file is another one than the walk saw, or was written to. */
export function checkAsSeen(entry: FileEntry, fd: number): void {
  const { seen } = entry
  const now = fstatSync(fd, { bigint: true })
  if (now.isDirectory()) throw changed(entry, 'it is a folder now')
  if (!now.isFile()) throw changed(entry, 'it is no file any more')
  if (now.dev !== seen.dev || now.ino !== seen.ino) throw changed(entry, 'another file has taken its place')
  if (now.size !== seen.size)
    throw changed(
      entry,
      `it had ${formatCount(Number(seen.size), 'byte')}, and now ${formatNumber(Number(now.size))}`,
    )
  if (now.mtimeNs !== seen.mtimeNs) throw changed(entry, 'it was written to')
}

/** `how` follows a colon. */
export function changed({ path }: FileEntry, how: string, cause?: unknown): EssError {
  const words = `${shownName(path)} changed after it was examined: ${how}.`
  return new EssError('file-changed', `${words} Send it all again when no program writes to it.`, { cause })
}

export function unreadable({ path }: FileEntry, error: unknown): EssError {
  const { message } = error as Error // The file system throws Errors.
  const words = errnoWords('read', error) ?? message
  return new EssError('file-unreadable', `Cannot read ${shownName(path)}: ${words}.`, { cause: error })
}
