import { close, fstat, fstatSync, read, type Stats, statSync } from 'node:fs'
import { Socket } from 'node:net'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { EssError } from '../../shared/index.js'
import { isDescriptor } from '../files/descriptor.js'
import { openToRead } from '../files/fifo.js'
import { NOT_UTF8 } from '../files/raw-arguments.js'
import { codeOf, errnoWords } from '../node/errno-words.js'
import { blockReader } from './block-reader.js'

/** What is sent: bytes, with what is known of them beforehand. */
export interface Source {
  /** The file's name; undefined for a stream. */
  readonly name: string | undefined
  /** Bytes; undefined for what ends when it ends. */
  readonly size: number | undefined
  /** True when `read` may be called again, for the same bytes from the first on. Default: false. */
  readonly isRepeatable?: boolean
  /**
   * Starts to read. Throws EssError `file-unreadable`, or `file-changed` before the last byte is out. A block
   * of a file's is good until the next one is asked for; then its memory is used again.
   */
  read(): AsyncGenerator<Uint8Array>
  /** Gives the file or the stream back, read or not. */
  close(): Promise<void>
}

/** The largest page of memory of a usual machine. */
const MAX_PAGE_BYTES = 64 * 1024

/**
 * Opens a file, without reading what is in it; a pipe or a device at that path is read as a stream. A name that is
 * not UTF-8 is a Buffer. Throws EssError `file-unreadable`, or `usage` for a directory.
 */
export async function openFile(place: string | Buffer): Promise<Source> {
  const path = place.toString()
  const [fd, stat] = await openAndStat(place).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  if (stat.isDirectory()) {
    await promisify(close)(fd)
    throw new EssError('usage', `Expected a file, got the directory ${path}; try: tar c ${path} | ess send`)
  }
  if (stat.isFIFO()) return fromPipe(fd)
  const size = stat.isFile() && (await isAsLongAsItSays(fd, stat)) ? stat.size : undefined
  const reader = blockReader(fd, size)
  const blocks = () => explained(reader.blocks(), path)
  return {
    name: stat.isFile() && !isDescriptor(path) ? basename(path) : undefined,
    size,
    isRepeatable: size !== undefined,
    read: () => (size === undefined ? blocks() : exactly(size, blocks(), path)),
    close: () => reader.close(),
  }
}

/**
 * How long the end of a stream is held back. Ctrl-C ends both sides of `tar | ess send`, and the end of what tar
 * wrote until then must not pass for the end of the whole: our own interruption has this long to be heard of.
 */
const END_GRACE_MS = 150

/** A stream that was not read from yet, such as a piped stdin. */
export function fromStream(stream: Readable): Source {
  return {
    name: undefined,
    size: undefined,
    async *read() {
      yield* explained(stream, 'the input')
      await delay(END_GRACE_MS)
    },
    async close() {
      // `read` told of a failure; one that comes after that is nobody's concern.
      stream.on('error', () => {})
      stream.destroy()
    },
  }
}

/** True when the file at `path` is the very one that `fd` writes to: it would be sent while it is overwritten. */
export function isSameFile(path: string | Buffer, fd: number): boolean {
  try {
    const source = statSync(path)
    const target = fstatSync(fd)
    return source.isFile() && source.dev === target.dev && source.ino === target.ino
  } catch {
    // Opening it will say what is wrong with it.
    return false
  }
}

/**
 * False for a file that is made when it is read: one in /proc has no size, one in /sys that of a page. (Nor is an
 * empty file declared as such: it is whole before anyone has looked, and it may have yet to grow.)
 */
async function isAsLongAsItSays(fd: number, { size, blocks }: Stats): Promise<boolean> {
  // It takes no room on a disk, but neither does a hole in a sparse file: that one has a last byte.
  if (blocks !== 0 || size === 0 || size > MAX_PAGE_BYTES) return size > 0
  return await promisify(read)(fd, Buffer.alloc(1), 0, 1, size - 1).then(
    ({ bytesRead }) => bytesRead === 1,
    // Reading all of it will say why.
    () => false,
  )
}

async function openAndStat(path: string | Buffer): Promise<readonly [number, Stats]> {
  const fd = await openToRead(path)
  return [fd, await promisify(fstat)(fd)]
}

/** A read from a pipe may take for ever, and only a socket's can be given up. It reads as soon as it is made. */
function fromPipe(fd: number): Source {
  let pipe: Source | undefined
  return {
    name: undefined,
    size: undefined,
    read() {
      pipe = fromStream(new Socket({ fd, readable: true, writable: false }))
      return pipe.read()
    },
    close: () => pipe?.close() ?? promisify(close)(fd),
  }
}

/**
 * Passes `size` bytes on. The server takes the last promised byte for the end of a whole file, so the block
 * that ends it is held until the file has proved to end there too.
 */
async function* exactly(
  size: number,
  blocks: AsyncIterable<Uint8Array>,
  path: string,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  let last: Uint8Array | undefined
  for await (const block of blocks) {
    bytes += block.length
    if (bytes > size) throw changed(path, size, `at least ${bytes}`)
    if (bytes === size) last = block
    else yield block
  }
  if (last === undefined) throw changed(path, size, String(bytes))
  yield last
}

/** The same bytes; what goes wrong on the way is said as people need it. */
async function* explained(blocks: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* blocks
  } catch (error) {
    throw unreadable(path, error)
  }
}

function changed(path: string, size: number, found: string): EssError {
  return new EssError('file-changed', `Expected ${path} to stay at ${size} bytes, got ${found}`)
}

function unreadable(path: string, error: unknown): EssError {
  const { message } = error as Error // What the file system and streams throw.
  // Where the bytes of such a name are not to be had, we have asked for another one.
  const advice =
    codeOf(error) === 'ENOENT' && path.includes(NOT_UTF8)
      ? ' of that name in UTF-8; pipe it in: ess send --name NAME < FILE'
      : ''
  const words = `${errnoWords('read', error) ?? message}${advice}`
  return new EssError('file-unreadable', `Cannot read ${path}: ${words}`, { cause: error })
}
