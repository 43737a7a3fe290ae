import { SEVERAL_FILES } from '../../shared/bundle.js'
import type { Chosen } from './chosen.js'
import { padded, RECORD_BYTES, tarHeader } from './tar-header.js'

/** Two records of zeros end a tar. */
const END_BYTES = 2 * RECORD_BYTES

/** A folder or several files as one tar. */
export interface Bundle {
  readonly parts: readonly Blob[]
  readonly entries: number
  readonly name: string
}

/**
 * Puts all that was chosen into one tar, each folder before its content. The files' bytes stay on the disk until they are
 * read.
 */
export function bundleOf({ files, folders }: Chosen): Bundle {
  const now = Math.floor(Date.now() / 1000)
  const parts: Blob[] = []
  // A folder's path is the beginning of those in it, and so it comes first.
  const all = [...folders, ...files.keys()].sort()
  for (const path of all) {
    const file = files.get(path)
    const mtime = file === undefined ? now : Math.floor(file.lastModified / 1000)
    parts.push(new Blob([tarHeader({ path, size: file?.size, mtime })]))
    if (file !== undefined) parts.push(file, zeros(padded(file.size) - file.size))
  }
  parts.push(zeros(END_BYTES))
  const [first = ''] = all
  const isOneFolder = all.every((path) => path === first || path.startsWith(`${first}/`))
  return { parts, entries: all.length, name: isOneFolder ? `${first}.tar` : SEVERAL_FILES }
}

function zeros(bytes: number): Blob {
  return new Blob([new Uint8Array(bytes)])
}
