import { randomBytes } from 'node:crypto'
import { type BigIntStats, lstatSync, type Stats } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EssError } from '../../shared/index.js'
import { unwritable } from '../files/unwritable.js'
import { codeOf } from '../node/errno-words.js'
import type { FileTarget } from './target.js'

/** How often a part that is being written is touched, because no byte may come for minutes. */
const PULSE_MS = 3_000
/** A part that was touched within this time is being written. */
const LIVE_MS = 10_000

/** The file that takes a download until it is whole. */
export interface PartFile {
  readonly path: string
  readonly file: FileHandle
  readonly stat: BigIntStats
  /** Stops touching the part. */
  rest(): void
  /** Closes the part and removes it. */
  remove(): Promise<void>
}

/**
 * Creates the part of a download: `path.part`, or a similar name if another file has that one or if it is too long.
 * Throws EssError `file-exists` if another download to the same name is under way.
 */
export async function openPart(target: FileTarget, force: boolean): Promise<PartFile> {
  const { path, file } = await create(target, force)
  const pulse = setInterval(() => {
    const now = new Date()
    // The file may have been closed meanwhile.
    file.utimes(now, now).catch(() => {})
  }, PULSE_MS)
  pulse.unref()
  const part: Omit<PartFile, 'stat'> = {
    path,
    file,
    rest: () => clearInterval(pulse),
    async remove() {
      clearInterval(pulse)
      await file.close().catch(() => {}) // It may be closed already.
      await rm(path, { force: true }).catch(() => {}) // A folder may accept files but not their removal.
    },
  }
  try {
    if (target.old !== undefined && !target.isFixed) await takeAfter(file, target.old)
    return { ...part, stat: await file.stat({ bigint: true }) }
  } catch (error) {
    await part.remove()
    throw unwritable(target.path, error)
  }
}

async function create(
  { path: asked, real, old }: FileTarget,
  force: boolean,
): Promise<{ readonly path: string; readonly file: FileHandle }> {
  const random = randomBytes(4).toString('hex')
  const plain = `${real}.part`
  let trouble: unknown
  for (const path of [plain, `${real}.${random}.part`, join(dirname(real), `ess-${random}.part`)])
    try {
      // A file that replaces a private one is private from its first byte on.
      return { path, file: await open(path, 'wx', old === undefined ? 0o666 : 0o600) }
    } catch (error) {
      trouble = error
      const code = codeOf(error)
      if (code === 'EEXIST' && path === plain && !force && isLive(plain)) throw underWay(asked, plain)
      if (code !== 'EEXIST' && code !== 'ENAMETOOLONG') break
    }
  throw unwritable(asked, trouble)
}

function isLive(part: string): boolean {
  const stat: Stats | undefined = lstatSync(part, { throwIfNoEntry: false })
  // A folder, a link or a pipe with this name is no download.
  return stat?.isFile() === true && Math.abs(Date.now() - stat.mtimeMs) < LIVE_MS
}

function underWay(path: string, part: string): EssError {
  return new EssError(
    'file-exists',
    `Another download seems to be writing ${path}: ${part} changed within the last ${LIVE_MS / 1000} s. Choose another name with -o, or try again later.`,
  )
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
