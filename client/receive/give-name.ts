import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { unwritable } from '../files/unwritable.js'
import type { PartFile } from './part-file.js'
import type { FileTarget } from './target.js'

/**
 * Gives a whole part its name. Without `force` it never replaces a file, not even one that appeared a moment ago. If
 * the name can't be moved, it copies the bytes. If it throws, the part is still there, and whole.
 */
export async function giveName(part: PartFile, target: FileTarget, force: boolean): Promise<void> {
  const { real } = target
  if (target.isFixed) await copyInto(part, real)
  else if (force) await replace(part, real)
  else await add(part, real)
  // A rename has removed it already. And a second name that stays is no reason to fail the download.
  await rm(part.path, { force: true }).catch(() => {})
}

async function replace(part: PartFile, path: string): Promise<void> {
  try {
    await rename(part.path, path)
  } catch (error) {
    if (await isOurs(path, part.stat)) return
    // Copy only over a file: not to a path where there is nothing, or something else.
    if (!(await isFile(path))) throw error
    await copyInto(part, path)
  }
}

async function add(part: PartFile, path: string): Promise<void> {
  try {
    await link(part.path, path)
  } catch {
    // A network file system may have made the link, and its answer was lost.
    if (await isOurs(path, part.stat)) return
    // The file system may have no hard links (FAT), or not allow us any (Android). Then take the name with an empty
    // file, and rename over it.
    await (await open(path, 'wx')).close()
    try {
      await replace(part, path)
    } catch (error) {
      await rm(path, { force: true }).catch(() => {}) // The caller hears of the first error.
      throw error
    }
  }
}

/** Writes the bytes of the part over those of the file at `path`, which stays the same file. */
async function copyInto(part: PartFile, path: string): Promise<void> {
  const source = await open(part.path, 'r')
  try {
    // O_NOFOLLOW: never through a link that appeared a moment ago. No O_CREAT: in a sticky folder, Linux refuses it
    // for another user's file.
    const file = await open(path, constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0))
    await pour(source, file).catch((error: unknown) => {
      throw unwritable(path, error, 'Its old content is lost.')
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
  const found = await lstat(path, { bigint: true }).catch(() => undefined) // It isn't there, so it isn't ours.
  return found !== undefined && found.ino === own.ino && found.dev === own.dev
}

async function isFile(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isFile() === true // A path that can't be examined can't be written.
}
