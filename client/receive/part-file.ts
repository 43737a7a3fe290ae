import { randomBytes } from 'node:crypto'
import { type BigIntStats, constants, lstatSync, type Stats, type WriteStream } from 'node:fs'
import { chmod, type FileHandle, lstat, open, rm, truncate, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EssError } from '../../shared/index.js'
import { localFileName } from '../files/local-name.js'
import { USED_UP, unwritable } from '../files/unwritable.js'
import { codeOf } from '../node/errno-words.js'
import { isBeingWritten, PULSE_MS } from './live-part.js'
import { readRecord, writeRecord } from './part-record.js'
import type { FileTarget } from './target.js'

/** Which part is opened. */
export interface PartTerms {
  /** The link's id, and more if it is sealed; undefined if it is not known yet. Then no other run finds this part. */
  readonly id: string | undefined
  /** True begins anew, whatever an earlier run has left. */
  readonly isFresh: boolean
  readonly signal: AbortSignal | undefined
}

/** The file that takes a download until it is whole. */
export interface PartFile {
  readonly path: string
  /** Takes the bytes behind those of an earlier run. */
  readonly writable: WriteStream
  readonly stat: BigIntStats
  /** Bytes that an earlier run has left, and that are on the disk for certain. Undefined if there was no such run. */
  readonly begun: number | undefined
  /**
   * Stops touching the part, and gives it a true time of last access. Call it when the writable is closed. Throws EssError
   * `file-unwritable` if another program has removed, replaced or cut the part.
   */
  rest(): Promise<void>
  /** Makes sure that what was written is on the disk, for another run to go on from. Resolves with its length. */
  keep(): Promise<number>
  /** Closes the part, and leaves it there. */
  leave(): Promise<void>
  /** Closes the part and removes it, unless another file has its name by now. */
  remove(): Promise<void>
}

interface OpenPart {
  readonly path: string
  readonly file: FileHandle
  readonly begun: number | undefined
}

/**
 * Opens the part of a download: `NAME.ID.part`, or `ess-ID.part` if that is too long. If an earlier run of the same
 * download has left it, it is gone on with. If another program has that name, the part gets another one.
 */
export async function openPart(target: FileTarget, terms: PartTerms): Promise<PartFile> {
  const { path, file, begun } = await openOrCreate(target, terms)
  try {
    if (target.old !== undefined && !target.isFixed) await takeAfter(file, target.old)
    const stat = await file.stat({ bigint: true })
    // The handle stays ours, so that every path awaits its closing.
    const writable = file.createWriteStream({ highWaterMark: 1024 * 1024, start: begun ?? 0 })
    return partOf({ path, file, begun }, writable, stat)
  } catch (error) {
    await file.close().catch(() => {}) // The first error says more.
    if (begun === undefined) await rm(path, { force: true }).catch(() => {})
    throw unwritable(target.path, error)
  }
}

function partOf({ path, file, begun }: OpenPart, writable: WriteStream, stat: BigIntStats): PartFile {
  // The bytes from here on may never have reached the disk. They are written again, and not cut off: a program that was
  // only suspended may wake up, and take them for written.
  const from = begun ?? 0
  const written = () => from + writable.bytesWritten
  // By its path, because the handle is closed by now.
  async function own(): Promise<BigIntStats | undefined> {
    const found = await lstat(path, { bigint: true }).catch(() => undefined) // It isn't there, so it isn't ours.
    return found?.ino === stat.ino && found.dev === stat.dev ? found : undefined
  }
  let recorded = from
  let syncing: Promise<void> | undefined
  let touching: Promise<void> = Promise.resolve()
  // The file may have been closed meanwhile. Without a record, the next run begins anew.
  const touch = () => {
    touching = writeRecord(file, recorded).catch(() => {})
    return touching
  }
  async function sync(): Promise<void> {
    const bytes = written()
    if (bytes > recorded) await file.datasync()
    recorded = bytes
    await touch()
  }
  function beat(): void {
    // A slow disk takes longer than a pulse, and the part has to look alive all the same.
    void touch()
    // A write that fails is told where it is made, and what was not synced is not recorded.
    syncing ??= sync()
      .catch(() => {})
      .finally(() => {
        syncing = undefined
      })
  }
  const pulse = setInterval(beat, PULSE_MS)
  pulse.unref()
  // Until then its time of last access is that of its creation, or the one that was trusted.
  void touch()
  const close = async () => {
    clearInterval(pulse)
    writable.on('error', () => {}).destroy()
    await file.close().catch(() => {}) // It may be closed already.
  }
  return {
    path,
    writable,
    stat,
    begun,
    async rest() {
      clearInterval(pulse)
      await syncing
      await touching
      const found = await own()
      if (found === undefined || found.size < written())
        throw new EssError(
          'file-unwritable',
          `Another program has removed or changed ${path} before the download was whole. ${USED_UP}`,
        )
      if (found.size > written()) await truncate(path, written())
      const now = new Date()
      await utimes(path, now, now).catch(() => {}) // A file system may keep no times.
    },
    async keep() {
      await syncing
      await sync()
      return recorded
    },
    leave: close,
    async remove() {
      await close()
      if ((await own()) === undefined) return
      await rm(path, { force: true }).catch(() => {}) // A folder may accept files but not their removal.
    },
  }
}

async function openOrCreate({ path: asked, real, old }: FileTarget, terms: PartTerms): Promise<OpenPart> {
  const folder = dirname(real)
  const id = terms.id === undefined ? undefined : localFileName(terms.id)
  const random = randomBytes(4).toString('hex')
  const own: readonly string[] = id === undefined ? [] : partNames(real, id)
  let trouble: unknown
  for (const path of [...own, `${real}.${random}.part`, join(folder, `ess-${random}.part`)])
    try {
      // A file that replaces a private one is private from its first byte on.
      return { path, file: await open(path, 'wx', old === undefined ? 0o666 : 0o600), begun: undefined }
    } catch (error) {
      trouble = error
      const code = codeOf(error)
      const found = code === 'EEXIST' && own.includes(path) ? await reopen(path, old, terms) : undefined
      if (found !== undefined) return found
      if (code !== 'EEXIST' && code !== 'ENAMETOOLONG') break
    }
  throw unwritable(asked, trouble)
}

/** The names that a part of this link can have. The second is for a name that is too long for the first. */
export function partNames(real: string, id: string): readonly [string, string] {
  return [`${real}.${id}.part`, join(dirname(real), `ess-${id}.part`)]
}

/** Opens what an earlier run has left. Undefined if it is none of our own parts, or is being written. */
async function reopen(
  path: string,
  old: Stats | undefined,
  { isFresh, signal }: PartTerms,
): Promise<OpenPart | undefined> {
  const isOurs = (stat: Stats | undefined) => isOwnFile(stat, old?.uid)
  if (!isOurs(lstatSync(path, { throwIfNoEntry: false })) || (await isBeingWritten(path, signal)))
    return undefined
  // It may have the mode of a read-only file that it replaces, and gets it again.
  if (old !== undefined) await chmod(path, 0o600).catch(() => {})
  // O_NOFOLLOW: never through a link that appeared a moment ago.
  const flags = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0)
  const file = await open(path, flags).catch(() => undefined) // Then the part gets another name.
  if (file === undefined) return undefined
  const stat = await file.stat()
  if (isOurs(stat)) return { path, file, begun: isFresh ? 0 : (readRecord(stat) ?? 0) }
  await file.close()
  return undefined
}

/**
 * True for a plain file of this user's, with this name alone: in /tmp, other users could prepare a part for us. Root gives
 * the part to `owner`, whose file it replaces.
 */
export function isOwnFile(stat: Stats | undefined, owner?: number): stat is Stats {
  if (stat?.isFile() !== true || stat.nlink !== 1) return false
  const user = process.geteuid?.()
  return user === undefined || stat.uid === user || stat.uid === owner
}

/**
 * Gives the new file the owner and permissions of the file that it replaces, as far as the system allows. It drops
 * the set-user-ID and set-group-ID bits, because they vouched for other bytes.
 */
async function takeAfter(file: FileHandle, old: Stats): Promise<void> {
  if (process.platform === 'win32') return
  const own = await file.stat()
  const canGive = (user: number) =>
    file.chown(user, old.gid).then(
      () => true,
      () => false,
    )
  const hasGroup =
    (own.uid === old.uid && own.gid === old.gid) || (await canGive(old.uid)) || (await canGive(own.uid))
  // With another group, the group gets no more than all other users.
  const groupBits = old.mode & 0o070 & (hasGroup ? 0o070 : (old.mode & 0o007) << 3)
  // A file system without permissions refuses this, and has none to keep.
  await file.chmod((old.mode & 0o707) | groupBits).catch(() => {})
}
