import { chmodSync, lstatSync, lutimesSync, symlinkSync, utimesSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { type Entry, PERMISSIONS } from '../../../shared/tar-entry.js'
import { TarReader } from '../../../shared/tar-reader.js'
import type { Tree } from '../../../shared/tar-tree.js'
import { shown, unsafe } from '../../../shared/tar-unsafe.js'
import { USED_UP, unwritable } from '../../files/unwritable.js'
import { codeOf } from '../../node/errno-words.js'
import type { Content } from './content.js'
import { fileTime } from './file-time.js'
import type { Journal, Noted } from './journal.js'
import { type LocalPath, localPath, localText } from './local-path.js'
import { makeEntry } from './make-entry.js'
import { OWN_BITS } from './own-bits.js'
import type { Resumed } from './resume.js'
import { checkSymlinks } from './symlinks.js'

/** After so many calls of the file system, others get a turn. */
const TURN = 256

/**
 * Unpacks a tar into a folder of our own. Nobody else can put anything there, and we make nothing but folders and files
 * until the last byte. So no path in it leads through a link.
 */
export class Unpacking {
  readonly tree: Tree
  readonly #folder: string
  readonly #journal: Journal
  readonly #reader: TarReader
  #content: Content | undefined

  constructor(folder: string, journal: Journal, size: number | undefined, { tree, start, content }: Resumed) {
    this.#folder = folder
    this.#journal = journal
    this.tree = tree
    this.#content = content
    this.#reader = new TarReader(size, start)
  }

  /** Takes the next bytes. Throws EssError `unsafe-bundle`, or `file-unwritable`. */
  async take(chunk: Buffer): Promise<void> {
    for (const piece of this.#reader.read(chunk))
      if ('entry' in piece) this.#begin(piece)
      else if ('data' in piece) {
        // Awaiting what is done would cost more than it took.
        const writing = this.#content?.write(piece.data)
        if (writing !== undefined) await writing
      } else {
        this.#content?.finish()
        this.#content = undefined
      }
  }

  /** Call this after the last byte. Throws EssError `unsafe-bundle` if it isn't whole, or a link leads out of it. */
  end(): void {
    this.#reader.end()
    checkSymlinks(this.tree)
  }

  /**
   * Makes the links, and gives the folders their modes and times. Throws EssError `unsafe-bundle`, or `file-unwritable` with
   * `advice` at its end.
   */
  async complete(advice: string): Promise<void> {
    let calls = 0
    const breathe = async () => {
      calls += 1
      if (calls % TURN === 0) await turn()
    }
    for (const link of this.tree.symlinks) {
      this.#make(link, advice, (path) => makeSymlink(path, link))
      await breathe()
    }
    // What is put into a folder changes its time, so those within it come first.
    for (const folder of this.tree.folders.toReversed()) {
      this.#make(folder, advice, (path) => finishFolder(path, folder))
      await breathe()
    }
  }

  /** Call it when nothing is being written. */
  close(): void {
    this.#content?.close()
    this.#content = undefined
  }

  #begin(noted: Noted): void {
    const { entry } = noted
    this.tree.add(entry)
    this.#journal.note(noted)
    this.#make(entry, USED_UP, (path) => {
      this.#content = makeEntry(this.#folder, path, entry)
    })
  }

  #make(entry: Entry, advice: string, make: (path: LocalPath) => void): void {
    const path = localPath(this.#folder, entry.path)
    try {
      make(path)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw unwritable(shown(entry.path), error, advice)
      this.#journal.expectOurs()
      // To this disk, or to this system, two names are one.
      throw unsafe('has the same name as another entry on this disk', entry.path)
    }
  }
}

function makeSymlink(path: LocalPath, { target, mtime }: Entry): void {
  symlinkSync(localText(target), path)
  lutimesSync(path, fileTime(mtime), fileTime(mtime))
}

function finishFolder(path: LocalPath, { mode, mtime }: Entry): void {
  utimesSync(path, fileTime(mtime), fileTime(mtime))
  // The system has applied the umask, and may have set a bit that is passed on from folder to folder.
  if ((mode & OWN_BITS) !== OWN_BITS) chmodSync(path, lstatSync(path).mode & (mode | ~PERMISSIONS))
}
