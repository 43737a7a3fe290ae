import { lstatSync, unlinkSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import type { BundleNote } from '../../../shared/index.js'
import type { Entry } from '../../../shared/tar-entry.js'
import { BEGINNING, type Start } from '../../../shared/tar-reader.js'
import { Tree } from '../../../shared/tar-tree.js'
import { Content } from './content.js'
import type { Noted } from './journal.js'
import { type LocalPath, localPath } from './local-path.js'
import { makeEntry } from './make-entry.js'
import { OWN_BITS, OWN_FILE_BITS, regain } from './own-bits.js'

/** What a run needs to go on where another one was stopped. */
export interface Resumed {
  readonly tree: Tree
  readonly start: Start
  /** The file that was begun. */
  readonly content: Content | undefined
}

/** After so many calls of the file system, others get a turn. */
const TURN = 256

export function beginAnew(note: BundleNote): Resumed {
  return { tree: new Tree(note), start: BEGINNING, content: undefined }
}

/** Goes on in `folder` with what an earlier run has noted. Undefined if that isn't what is there. */
export async function resume(
  folder: string,
  noted: readonly Noted[],
  note: BundleNote,
): Promise<Resumed | undefined> {
  const last = noted.at(-1)
  if (last === undefined) return undefined
  try {
    const tree = new Tree(note)
    for (const [index, each] of noted.entries()) {
      tree.add(each.entry)
      if (each !== last && !isThere(localPath(folder, each.entry.path), each.entry)) return undefined
      if (index % TURN === 0) await turn()
    }
    return { tree, ...goOnWith(folder, last) }
  } catch {
    // Another program has been at work there, or the system has broken down. All of it comes again.
    return undefined
  }
}

/** The last entry was noted, but may not have been made. */
function goOnWith(folder: string, { entry, contentAt }: Noted): Pick<Resumed, 'start' | 'content'> {
  const path = localPath(folder, entry.path)
  const stat = lstatSync(path, { throwIfNoEntry: false })
  const position = stat?.isFile() && entry.kind === 'file' ? stat.size : 0
  if (position > entry.size) throw new Error(`${position} bytes of ${entry.size}`)
  const start = { offset: contentAt + position, left: entry.size - position }
  if (stat === undefined) return { start, content: makeEntry(folder, path, entry) }
  if (entry.kind !== 'file') {
    if (!isThere(path, entry)) throw new Error('not what was noted')
    return { start, content: undefined }
  }
  regain(path, stat, OWN_FILE_BITS)
  return { start, content: Content.reopen(path, entry, position) }
}

function isThere(path: LocalPath, { kind, size }: Entry): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  switch (kind) {
    case 'file':
      return stat?.isFile() === true && stat.size === size
    case 'hardlink':
      return stat?.isFile() === true
    case 'folder':
      if (stat?.isDirectory() !== true) return false
      // The run may have been killed when it had taken our rights away.
      regain(path, stat, OWN_BITS)
      return true
    case 'symlink':
      // A run that was killed at its very end. They are made again.
      if (stat?.isSymbolicLink() === true) unlinkSync(path)
      return stat === undefined || stat.isSymbolicLink()
  }
}
