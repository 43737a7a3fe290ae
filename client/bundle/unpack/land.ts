import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { EssError, printable } from '../../../shared/index.js'
import { codeOf } from '../../node/errno-words.js'
import { fileTime } from './file-time.js'
import { type LocalPath, namesIn, under } from './local-path.js'
import { OWN_BITS, regain } from './own-bits.js'

/** One thing that goes to its place, with all that is in it. */
export interface Landing {
  readonly from: LocalPath
  readonly to: LocalPath
}

/** After so many of them, others get a turn. */
const TURN = 64

/**
 * Moves all of them to their places, or none. Without `force` it never replaces anything, not even what appeared a moment
 * ago. With it, files and links are replaced, and folders get what they lack; but never is a folder replaced by anything else,
 * nor anything else by a folder, and nothing goes through a link. `aside` is a folder that takes what is replaced. If it
 * throws, everything is where it was: EssError `file-exists`, or what the file system says.
 */
export async function land(landings: readonly Landing[], force: boolean, aside: string): Promise<void> {
  // What can be known beforehand is not tried.
  for (const landing of landings) await check(landing, force)
  const moves = new Moves(force, aside)
  try {
    for (const landing of landings) await moves.move(landing)
  } catch (error) {
    moves.undo()
    throw error
  }
}

async function check({ from, to }: Landing, force: boolean): Promise<void> {
  const old = lstatSync(to, { throwIfNoEntry: false })
  if (old === undefined || !expectReplaceable(lstatSync(from), old, to, force)) return
  await turn()
  for (const child of landingsIn(from, to)) await check(child, force)
}

/** True if both are folders. Throws EssError `file-exists` if the one can't take the place of the other. */
function expectReplaceable(own: Stats, old: Stats, to: LocalPath, force: boolean): boolean {
  if (!force) throw new EssError('file-exists', `${printable(String(to))} exists already.`)
  if (old.isDirectory() && own.isDirectory()) return true
  if (old.isDirectory() || own.isDirectory())
    throw new EssError(
      'file-exists',
      `${printable(String(to))} exists already, and ${own.isDirectory() ? 'is no folder' : 'is a folder'}.`,
    )
  if (!old.isFile() && !old.isSymbolicLink())
    throw new EssError('file-exists', `${printable(String(to))} exists already, and is not a plain file.`)
  return false
}

/** Moves, and what takes each of them back. */
class Moves {
  readonly #force: boolean
  readonly #aside: string
  readonly #undoing: (() => void)[] = []
  #count = 0

  constructor(force: boolean, aside: string) {
    this.#force = force
    this.#aside = aside
  }

  async move(landing: Landing): Promise<void> {
    this.#count += 1
    if (this.#count % TURN === 0) await turn()
    const own = lstatSync(landing.from)
    if (own.isDirectory()) await this.#moveFolder(landing, own)
    else this.#moveFile(landing, own)
  }

  /** The last move first. What can't be taken back stays: the error that led here says more. */
  undo(): void {
    for (const takeBack of this.#undoing.toReversed())
      try {
        takeBack()
      } catch {
        // Another program was faster.
      }
  }

  async #moveFolder({ from, to }: Landing, own: Stats): Promise<void> {
    try {
      // A rename would replace an empty folder without a word. This one is ours.
      mkdirSync(to, { mode: OWN_BITS })
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
      expectReplaceable(own, lstatSync(to), to, this.#force)
      for (const child of landingsIn(from, to)) await this.move(child)
      return
    }
    try {
      // Windows renames to no name that is taken, and replaces none.
      if (process.platform === 'win32') rmdirSync(to)
      moveFolder(from, to)
    } catch (error) {
      this.#undoing.push(() => rmdirSync(to))
      throw error
    }
    this.#undoing.push(() => moveFolder(to, from))
  }

  #moveFile({ from, to }: Landing, own: Stats): void {
    try {
      if (own.isSymbolicLink()) copyLink(from, to, own)
      else addName(from, to)
      this.#undoing.push(() => (exists(from) ? unlinkSync(to) : renameSync(to, from)))
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
      expectReplaceable(own, lstatSync(to), to, this.#force)
      this.#replace(from, to)
    }
  }

  #replace(from: LocalPath, to: LocalPath): void {
    // Here it waits until all is done.
    const old = join(this.#aside, String(this.#count))
    keepName(to, old)
    this.#undoing.push(() => renameSync(old, to))
    renameSync(from, to)
    this.#undoing.push(() => renameSync(to, from))
  }
}

function exists(path: LocalPath): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** What is in the folder `from`, which goes into the folder `to`. */
function landingsIn(from: LocalPath, to: LocalPath): readonly Landing[] {
  regain(from, lstatSync(from), OWN_BITS)
  return namesIn(from).map((name) => ({ from: under(from, name), to: under(to, name) }))
}

/** Gives what is replaced a second name, so that the first one is never without a file. */
function keepName(path: LocalPath, old: string): void {
  const stat = lstatSync(path)
  if (stat.isSymbolicLink()) {
    copyLink(path, old, stat)
    return
  }
  try {
    linkSync(path, old)
  } catch {
    // No hard links here.
    renameSync(path, old)
  }
}

function copyLink(from: LocalPath, to: LocalPath, { atimeMs, mtimeMs }: Stats): void {
  symlinkSync(readlinkSync(from, { encoding: 'buffer' }), to)
  lutimesSync(to, fileTime(atimeMs / 1000), fileTime(mtimeMs / 1000))
}

/** A folder whose `..` changes must be writable, and keeps its mode and its time. */
function moveFolder(from: LocalPath, to: LocalPath): void {
  const stat = lstatSync(from)
  regain(from, stat, OWN_BITS)
  try {
    renameSync(from, to)
  } catch (error) {
    chmodSync(from, stat.mode)
    throw error
  }
  chmodSync(to, stat.mode)
  utimesSync(to, fileTime(stat.atimeMs / 1000), fileTime(stat.mtimeMs / 1000))
}

/** Gives the file a second name, unless that is taken. The first one goes with the part. */
function addName(from: LocalPath, to: LocalPath): void {
  try {
    linkSync(from, to)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw error
    // The file system may have no hard links (FAT), or not allow us any (Android). Then take the name with an empty
    // file, and rename over it.
    closeSync(openSync(to, 'wx'))
    try {
      renameSync(from, to)
    } catch (cause) {
      unlinkSync(to)
      throw cause
    }
  }
}
