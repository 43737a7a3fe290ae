import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { unwritable } from '../files/unwritable.js'
import type { PartFile } from './part-file.js'
import type { FileTarget } from './target.js'

/**
 * Gives a whole part its name; without `force` never over a file, not even one that appeared a moment ago. Where
 * the name cannot be moved, the bytes are copied. When it throws, the part is still there, and whole.
 */
export async function giveName(part: PartFile, target: FileTarget, force: boolean): Promise<void> {
  const { real } = target
  if (target.isFixed) await copyInto(part, real)
  else if (force) await replace(part, real)
  else await add(part, real)
  // Renamed, it is gone already. And the download does not fail for a second name that stays.
  await rm(part.path, { force: true }).catch(() => {})
}

async function replace(part: PartFile, path: string): Promise<void> {
  try {
    await rename(part.path, path)
  } catch (error) {
    if (await isOurs(path, part.stat)) return
    // Nothing may be written where there is nothing, or not a file.
    if (!(await isFile(path))) throw error
    await copyInto(part, path)
  }
}

async function add(part: PartFile, path: string): Promise<void> {
  try {
    await link(part.path, path)
  } catch {
    // A network file system may have done it, and its answer was lost.
    if (await isOurs(path, part.stat)) return
    // There may be no hard links (FAT), or not for us (Android): take the name with an empty file, then rename over it.
    await (await open(path, 'wx')).close()
    try {
      await replace(part, path)
    } catch (error) {
      await rm(path, { force: true }).catch(() => {}) // What went wrong is told already.
      throw error
    }
  }
}

/** Writes the bytes of the part over those of the file at `path`, which stays the same file. */
async function copyInto(part: PartFile, path: string): Promise<void> {
  const source = await open(part.path, 'r')
  try {
    // Never through a link that appeared a moment ago. Without O_CREAT, which Linux refuses for another user's file in
    // a sticky folder.
    const file = await open(path, constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0))
    await pour(source, file).catch((error: unknown) => {
      throw unwritable(path, error, '; what was in it is lost')
    })
  } finally {
    await source.close()
  }
}

async function pour(source: FileHandle, file: FileHandle): Promise<void> {
  try {
    await file.truncate(0)
    await pipeline(source.createReadStream(), file.createWriteStream())
  } finally {
    await file.close()
  }
}

async function isOurs(path: string, own: BigIntStats): Promise<boolean> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined) // Not there, so not ours.
  return found !== undefined && found.ino === own.ino && found.dev === own.dev
}

async function isFile(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isFile() === true // What cannot be seen cannot be written.
}
