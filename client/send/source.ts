import { close, fstat, fstatSync, read, type Stats, statSync } from 'node:fs'
import { Socket } from 'node:net'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { EssError, formatCount } from '../../shared/index.js'
import type { Source } from '../ends/source.js'
import { isDescriptor } from '../files/descriptor.js'
import { openToRead } from '../files/fifo.js'
import { missing } from '../files/missing.js'
import { codeOf, errnoWords } from '../node/errno-words.js'
import { blockReader } from './block-reader.js'
import { KeptBlocks } from './kept-blocks.js'

export type { Source }

/** The largest memory page of a usual machine. */
const MAX_PAGE_BYTES = 64 * 1024

/**
 * Opens a file without reading it. A pipe or device at that path becomes a stream. Pass a name that is not UTF-8 as a
 * Buffer. Throws EssError `file-unreadable`, or `usage` for a directory.
 */
export async function openFile(place: string | Buffer): Promise<Source> {
  const path = place.toString()
  const [fd, stat] = await openAndStat(place).catch(async (error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? await missing(path, error) : unreadable(path, error)
  })
  if (stat.isDirectory()) {
    await promisify(close)(fd)
    throw new EssError(
      'usage',
      `${path} is a folder, and only a file or a stream can be sent. Pack it first, for example with tar.`,
    )
  }
  if (stat.isFIFO()) return fromPipe(fd)
  const size = stat.isFile() && (await isAsLongAsItSays(fd, stat)) ? stat.size : undefined
  const reader = blockReader(fd, size)
  const check = size === undefined ? () => {} : sameFileCheck(fd, path)
  const blocks = (from = 0) => explained(reader.blocks(from), path)
  let kept: KeptBlocks | undefined
  return {
    name: stat.isFile() && !isDescriptor(path) ? basename(path) : undefined,
    size,
    isRepeatable: size !== undefined,
    reach: size === undefined ? REACH_BYTES : Number.POSITIVE_INFINITY,
    read(from = 0) {
      if (size !== undefined) return exactly(size, from, blocks(from), path, check)
      kept ??= new KeptBlocks(copied(blocks()), KEPT_BYTES)
      return kept.read(from)
    },
    close: () => reader.close(),
  }
}

/**
 * How long we hold back the end of a stream. Ctrl-C ends both sides of `tar | ess send`, and tar's early end must not
 * pass for the end of the whole. In this time we hear of our own interruption.
 */
const END_GRACE_MS = 150

/** What a stream's sender can go back after a cut, from the last byte that the server has handed on. */
const REACH_BYTES = 16 * 1024 * 1024
/** As much again may have been read, and lie in the buffers between us and the receiver. */
const KEPT_BYTES = 2 * REACH_BYTES

/** Makes a source of a stream that was not read from yet, such as a piped stdin. */
export function fromStream(stream: Readable): Source {
  let kept: KeptBlocks | undefined
  async function* blocks() {
    yield* explained(stream, 'the input')
    await delay(END_GRACE_MS)
  }
  return {
    name: undefined,
    size: undefined,
    reach: REACH_BYTES,
    read(from = 0) {
      kept ??= new KeptBlocks(blocks(), KEPT_BYTES)
      return kept.read(from)
    },
    async close() {
      // `read` reports a failure. One that comes later doesn't matter.
      stream.on('error', () => {})
      stream.destroy()
    },
  }
}

/** Blocks that stay as they are when the next one is read. */
async function* copied(blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const block of blocks) yield Buffer.from(block)
}

/** True if `fd` writes to the very file at `path`: it would be sent while it is overwritten. */
export function isSameFile(path: string | Buffer, fd: number): boolean {
  try {
    const source = statSync(path)
    const target = fstatSync(fd)
    return source.isFile() && source.dev === target.dev && source.ino === target.ino
  } catch {
    // Opening it will report the trouble.
    return false
  }
}

/**
 * False for a file that is generated when it is read: one in /proc has size 0, one in /sys the size of a page. False
 * for an empty file too: it would count as whole at once, and it may still grow.
 */
async function isAsLongAsItSays(fd: number, { size, blocks }: Stats): Promise<boolean> {
  // Such a file takes no room on a disk. A hole in a sparse file doesn't either, but that file has a last byte.
  if (blocks !== 0 || size === 0 || size > MAX_PAGE_BYTES) return size > 0
  return await promisify(read)(fd, Buffer.alloc(1), 0, 1, size - 1).then(
    ({ bytesRead }) => bytesRead === 1,
    // Reading the whole file will report the trouble.
    () => false,
  )
}

async function openAndStat(path: string | Buffer): Promise<readonly [number, Stats]> {
  const fd = await openToRead(path)
  return [fd, await promisify(fstat)(fd)]
}

/**
 * A read from a pipe may wait for ever, and only a socket's read can be given up. A socket reads as soon as it is
 * made, so it is made late.
 */
function fromPipe(fd: number): Source {
  let pipe: Source | undefined
  return {
    name: undefined,
    size: undefined,
    reach: REACH_BYTES,
    read(from = 0) {
      pipe ??= fromStream(new Socket({ fd, readable: true, writable: false }))
      return pipe.read(from)
    },
    close: () => pipe?.close() ?? promisify(close)(fd),
  }
}

/**
 * Passes on `size` bytes. The server takes the last promised byte for the end of a whole file, so the last block
 * waits until the file has proved to end there.
 */
async function* exactly(
  size: number,
  from: number,
  blocks: AsyncIterable<Uint8Array>,
  path: string,
  check: () => void,
): AsyncGenerator<Uint8Array> {
  let bytes = from
  let last: Uint8Array | undefined
  for await (const block of blocks) {
    bytes += block.length
    if (bytes > size) throw changed(path, size, `at least ${bytes}`)
    check()
    if (bytes === size) last = block
    else yield block
  }
  if (from === size && bytes === size) return
  if (last === undefined) throw changed(path, size, String(bytes))
  check()
  yield last
}

/**
 * Makes a check that throws EssError `file-changed` if the open file has been written to since it was made. What was sent
 * before a cut and what is sent after it must be parts of one file, and a key that has sealed one version must not seal
 * another. A write sets the time before it changes a byte, so a block that was read before the check is of the old version. It takes
 * 2 µs.
 */
function sameFileCheck(fd: number, path: string): () => void {
  const { size, mtimeNs } = fstatSync(fd, { bigint: true })
  return () => {
    const now = fstatSync(fd, { bigint: true })
    if (now.size !== size) throw changed(path, Number(size), String(now.size))
    if (now.mtimeNs === mtimeNs) return
    throw new EssError(
      'file-changed',
      `${path} was written to while it was sent. Send it again when that is done.`,
    )
  }
}

/** Passes on the blocks, and turns an error into a `file-unreadable`. */
async function* explained(blocks: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* blocks
  } catch (error) {
    throw unreadable(path, error)
  }
}

function changed(path: string, size: number, found: string): EssError {
  const words = `${path} changed while it was sent: it had ${formatCount(size, 'byte')}, and then ${found}.`
  return new EssError('file-changed', `${words} Send it again when no program writes to it.`)
}

function unreadable(path: string, error: unknown): EssError {
  const { message } = error as Error // The file system and streams throw Errors.
  const advice = codeOf(error) === 'EACCES' ? ' Ask its owner for permission.' : ''
  const words = `Cannot read ${path}: ${errnoWords('read', error) ?? message}.${advice}`
  return new EssError('file-unreadable', words, { cause: error })
}
