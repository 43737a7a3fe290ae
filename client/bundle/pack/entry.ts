import type { BigIntStats } from 'node:fs'
import { type Operand, placeIn } from './operands.js'

/** What the walk noted of one entry of the tar: all that its bytes depend on, but for a file's content. */
export type Entry = FolderEntry | FileEntry | LinkEntry

interface Common {
  /** Its path in the tar, without a slash at either end. */
  readonly path: string
  /** Permissions alone: no setuid, setgid or sticky bit. */
  readonly mode: number
  /** Whole seconds since 1970, rounded down. A fraction would cost another 1,024 bytes for each entry. */
  readonly mtime: number
}

export interface FolderEntry extends Common {
  readonly kind: 'folder'
}

export interface FileEntry extends Common {
  readonly kind: 'file'
  readonly size: number
  readonly operand: Operand
  readonly seen: Seen
}

export interface LinkEntry extends Common {
  /** A hard link's target is the path of an earlier entry. */
  readonly kind: 'symbolic link' | 'hard link'
  readonly target: string
}

/** What tells a file from another one, and from itself after a change. */
export type Seen = Pick<BigIntStats, 'dev' | 'ino' | 'size' | 'mtimeNs'>

/** Where the file of an entry is. */
export function placeOf({ operand, path }: FileEntry): string | Buffer {
  return placeIn(operand, path)
}
