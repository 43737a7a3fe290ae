import { randomBytes } from 'node:crypto'
import { accessSync, constants, createWriteStream, lstatSync, type Stats, statSync } from 'node:fs'
import { type FileHandle, link, open, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { EssError } from '../shared/index.js'

/** Where a download goes: a file, a file of the sender's name in a folder, or a stream such as stdout. */
export type Destination =
  | { readonly file: string }
  | { readonly folder: string }
  | { readonly stream: Writable }

/** Where the bytes of one download are written. */
export interface Sink {
  /** Takes the bytes; with `ends` it is ended after the last one. */
  readonly writable: Writable
  readonly ends: boolean
  /** The file's final path; undefined for a stream. */
  readonly path: string | undefined
  /** Makes it count: the file appears under its name. Throws EssError `file-exists` or `file-unwritable`. */
  commit(): Promise<void>
  /** Leaves nothing behind. */
  discard(): Promise<void>
}

/**
 * Throws what `openSink` would, as far as that can be known before there is a name: a download that cannot be
 * saved must not be begun, because its sender cannot send it twice.
 */
export function checkDestination(to: Destination, force: boolean): void {
  if ('stream' in to) return
  if ('folder' in to) {
    checkFolder(to.folder)
    return
  }
  const { file } = to
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory())
    throw new EssError('file-unwritable', `Expected the name of a file, got the directory ${file}`)
  if (isDevice(file)) return
  if (!force && isTaken(file)) throw exists(file)
  checkFolder(dirname(file))
}

/** Throws EssError `file-exists` when the sender's `name` is taken in that folder. */
export function checkName(folder: string, name: string): void {
  const path = join(folder, name)
  if (isTaken(path)) throw exists(path)
}

/** Opens the place for a download that its sender named `name`, which must be safe already. */
export async function openSink(to: Destination, name: string, force: boolean): Promise<Sink> {
  if ('stream' in to) return toStream(to.stream)
  const path = 'file' in to ? to.file : join(to.folder, name)
  checkDestination({ file: path }, force)
  // Its end is that of the last byte, so there is nothing left to do for `commit`.
  if (isDevice(path)) return { ...toStream(createWriteStream(path)), ends: true, async commit() {} }
  const { part, file } = await openPart(path)
  return {
    // The handle stays ours, so that closing it is awaited on every path.
    writable: file.createWriteStream({ highWaterMark: 1024 * 1024 }),
    ends: true,
    path,
    async commit() {
      await giveName(part, path, force).catch((error: unknown) => {
        throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? exists(path) : unwritable(path, error)
      })
    },
    async discard() {
      await file.close().catch(() => {}) // It may be closed already.
      await rm(part, { force: true })
    },
  }
}

/** Resolves when `bytes` and all before them were handed on. Rejects with what the stream fails with. */
export function written(writable: Writable, bytes: Uint8Array | ''): Promise<void> {
  return new Promise((resolve, reject) => {
    // A stream that failed and was not destroyed (one over a descriptor that is not ours to close) calls nobody back.
    if (writable.errored) reject(writable.errored)
    else writable.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

/** What went wrong with writing to `path`, for people. */
export function unwritable(path: string | undefined, cause: unknown): EssError {
  const { code, message } = cause as NodeJS.ErrnoException // What the file system and streams throw.
  const words = REASONS[code ?? ''] ?? message
  return new EssError('file-unwritable', `Cannot write ${path ?? 'the output'}: ${words}`, { cause })
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file system takes no files of this size',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such folder',
  ENOSPC: 'no space left',
  ENOTDIR: 'no such folder',
  EPERM: 'permission denied',
  EPIPE: 'nobody reads it any more',
  EROFS: 'the file system is read-only',
}

function exists(path: string): EssError {
  return new EssError('file-exists', `${path} exists already; --force overwrites it`)
}

function toStream(writable: Writable): Sink {
  return {
    writable,
    ends: false,
    path: undefined,
    async commit() {
      // A last, empty write is out when everything before it was handed on.
      await written(writable, '').catch((error: unknown) => {
        throw unwritable(undefined, error)
      })
    },
    async discard() {},
  }
}

function isTaken(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function checkFolder(path: string): void {
  try {
    accessSync(path, constants.W_OK)
  } catch (error) {
    throw unwritable(path, error)
  }
  if (!statSync(path).isDirectory()) throw unwritable(path, { code: 'ENOTDIR' })
}

/** A pipe or a device is written to as it is: to rename a file over /dev/null would be a bad surprise. */
function isDevice(path: string): boolean {
  const stat: Stats | undefined = statSync(path, { throwIfNoEntry: false })
  return stat !== undefined && !stat.isFile() && !stat.isDirectory()
}

/** `path.part`, or another name like it where that one is taken: somebody else may be writing it. */
async function openPart(path: string): Promise<{ readonly part: string; readonly file: FileHandle }> {
  const plain = `${path}.part`
  for (const part of [plain, `${path}.${randomBytes(4).toString('hex')}.part`])
    try {
      return { part, file: await open(part, 'wx') }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(part, error)
    }
  throw exists(plain)
}

/** Renames; without `force` never over a file, not even one that appeared a moment ago. */
async function giveName(part: string, path: string, force: boolean): Promise<void> {
  if (force) return await rename(part, path)
  try {
    await link(part, path)
    await unlink(part)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error
    // A file system without hard links (FAT): take the name with an empty file, then rename over that.
    await (await open(path, 'wx')).close()
    await rename(part, path)
  }
}
