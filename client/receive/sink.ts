import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { EssError } from '../../shared/index.js'
import type { Sink } from '../ends/sink.js'
import { unwritable } from '../files/unwritable.js'
import { codeOf } from '../node/errno-words.js'
import { giveName } from './give-name.js'
import { openPart, type PartTerms } from './part-file.js'
import type { FileTarget, StreamTarget } from './target.js'

/** Where a download goes: to a file, to a file with the sender's name in a folder, or to a stream such as stdout. */
export type Destination =
  | { readonly file: string }
  | {
      readonly folder: string
      /** Gives a stream for a text without a name, of so many bytes, at most 1 MiB. Default: a text becomes a file too. */
      readonly text?: (bytes: number) => Writable
    }
  | { readonly stream: Writable }

/** A pipe or a device that was opened for one download, and is ended after its last byte. */
export interface OpenDevice {
  readonly device: Writable
}

export type { Sink }

/** Opens a sink that writes a file. Throws EssError `file-exists` or `file-unwritable`. */
export async function openFileSink(target: FileTarget, force: boolean, terms: PartTerms): Promise<Sink> {
  const part = await openPart(target, terms)
  let isKept = false
  return {
    writable: part.writable,
    ends: true,
    path: target.path,
    begun: part.begun,
    async commit() {
      await part.rest()
      return await giveName(part, target, force).then(
        () => undefined,
        (error: unknown) => keptAside(part.path, target.path, error),
      )
    },
    async keep() {
      isKept = await part.keep().then(
        (bytes) => bytes > 0,
        () => false, // What can't be synced can't be trusted.
      )
      return isKept ? part.path : undefined
    },
    discard: (isOver) => (isKept || ((part.begun ?? 0) > 0 && !isOver) ? part.leave() : part.remove()),
  }
}

/** Opens a pipe or a device. It ends with the last byte, so `commit` has nothing left to do. */
export function openDeviceSink({ path, flags }: StreamTarget): Sink {
  return deviceSink(createWriteStream(path, { flags }))
}

/** A sink for a pipe or a device that is open already. */
export function deviceSink(writable: Writable): Sink {
  return {
    ...streamSink(writable),
    ends: true,
    isLive: false,
    async commit() {
      return undefined
    },
    async discard() {
      writable.destroy()
    },
  }
}

/** A sink for a stream that the caller ends. */
export function streamSink(writable: Writable): Sink {
  return {
    writable,
    ends: false,
    isLive: true,
    path: undefined,
    begun: undefined,
    async commit() {
      return undefined
    },
    async keep() {
      return undefined
    },
    async discard() {},
  }
}

/** Resolves when `bytes` and everything before them were handed on. Rejects with the stream's own error. */
export function written(writable: Writable, bytes: Uint8Array | ''): Promise<void> {
  return new Promise((resolve, reject) => {
    // A stream that failed but was not destroyed never calls back. One over a descriptor that we must not close is
    // such a stream.
    if (writable.errored) reject(writable.errored)
    else writable.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

/** The error for a whole download that could not get its name, and stays in `part`. */
export function keptAside(part: string, path: string, cause: unknown): EssError {
  const where = `The whole download is in ${part}.`
  if (cause instanceof EssError) return new EssError(cause.code, `${cause.message} ${where}`, { cause })
  if (codeOf(cause) === 'EEXIST') {
    const words = `Another program has created ${path} in the meantime. ${where}`
    return new EssError('file-exists', words, { cause })
  }
  return unwritable(path, cause, where)
}
