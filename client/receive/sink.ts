import { createWriteStream } from 'node:fs'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { EssError } from '../../shared/index.js'
import { unwritable } from '../files/unwritable.js'
import { codeOf } from '../node/errno-words.js'
import { giveName } from './give-name.js'
import { openPart } from './part-file.js'
import { checkRoom } from './room.js'
import type { FileTarget, StreamTarget } from './target.js'

/** Where a download goes: a file, a file of the sender's name in a folder, or a stream such as stdout. */
export type Destination =
  | { readonly file: string }
  | { readonly folder: string }
  | { readonly stream: Writable }

/** A pipe or a device that was opened for one download, and is ended after its last byte. */
export interface OpenDevice {
  readonly device: Writable
}

/** Where the bytes of one download are written. */
export interface Sink {
  /** Takes the bytes; with `ends` it is ended after the last one. */
  readonly writable: Writable
  readonly ends: boolean
  /** The file's final path; undefined for a stream. */
  readonly path: string | undefined
  /** Throws EssError `file-unwritable` where so many bytes have no room. */
  expect(size: number | undefined): void
  /**
   * Makes it count: the file appears under its name. Throws EssError `file-unwritable` where bytes were lost. Where
   * they are all there and only the name is not to be had, it resolves with the EssError that says where they are.
   */
  commit(): Promise<EssError | undefined>
  /** Leaves nothing behind. */
  discard(): Promise<void>
}

/** Opens the place for a download to a file. Throws EssError `file-exists` or `file-unwritable`. */
export async function openFileSink(target: FileTarget, force: boolean): Promise<Sink> {
  const part = await openPart(target, force)
  return {
    // The handle stays ours, so that closing it is awaited on every path.
    writable: part.file.createWriteStream({ highWaterMark: 1024 * 1024 }),
    ends: true,
    path: target.path,
    expect(size) {
      if (size === undefined) return
      checkRoom(dirname(target.real), target.path, size)
      // It may be mounted from elsewhere, and keeps the room that it has.
      if (target.isFixed) checkRoom(target.real, target.path, size - (target.old?.size ?? 0))
    },
    async commit() {
      part.rest()
      return await giveName(part, target, force).then(
        () => undefined,
        (error: unknown) => keptAside(part.path, target.path, error),
      )
    },
    discard: () => part.remove(),
  }
}

/** Opens a pipe or a device. Its end is that of the last byte, so there is nothing left to do for `commit`. */
export function openDeviceSink({ path, flags }: StreamTarget): Sink {
  return deviceSink(createWriteStream(path, { flags }))
}

/** The same for a pipe or a device that is open. */
export function deviceSink(writable: Writable): Sink {
  return {
    ...streamSink(writable),
    ends: true,
    async commit() {
      return undefined
    },
    async discard() {
      writable.destroy()
    },
  }
}

/** Writes to a stream that somebody else ends. */
export function streamSink(writable: Writable): Sink {
  return {
    writable,
    ends: false,
    path: undefined,
    expect() {},
    async commit() {
      // A last, empty write is out when everything before it was handed on.
      await written(writable, '').catch((error: unknown) => {
        throw unwritable(undefined, error)
      })
      return undefined
    },
    async discard() {},
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

function keptAside(part: string, path: string, cause: unknown): EssError {
  const where = `; the whole download is in ${part}`
  if (cause instanceof EssError) return new EssError(cause.code, `${cause.message}${where}`, { cause })
  if (codeOf(cause) === 'EEXIST')
    return new EssError('file-exists', `${path} exists meanwhile${where}`, { cause })
  return unwritable(path, cause, where)
}
