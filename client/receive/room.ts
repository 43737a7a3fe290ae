import { constants, fstatSync, type StatsFs, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { EssError, formatBytes, formatCount } from '../../shared/index.js'
import { openFile } from '../files/open-file.js'
import type { BundleTarget } from './bundle-target.js'
import type { FileTarget } from './target.js'

/** Throws EssError `file-unwritable` if there is no room for `size` bytes, as far as we can tell. */
export type RoomCheck = (size: number) => void

/** The check for a file that gets its name once it is whole. */
export function roomForFile({ real, path, isFixed, old }: FileTarget): RoomCheck {
  return (size) => {
    check(dirname(real), path, size)
    // The file may be mounted from elsewhere, and keeps the room that it has.
    if (isFixed) check(real, path, size - (old?.size ?? 0))
  }
}

/** The check for a bundle of so many entries. */
export function roomForBundle({ folder, path }: BundleTarget, entries: number): RoomCheck {
  return (size) => {
    check(folder, path, size)
    checkEntries(folder, path, entries)
  }
}

/** The check for `path`, which leads to an open file that will be appended to. Undefined for a pipe or a device. */
export function roomForDescriptor(path: string): RoomCheck | undefined {
  // Elsewhere, such a path doesn't tell the file's own file system.
  if (process.platform !== 'linux') return undefined
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined
  return (size) => check(path, path, size)
}

/** The check for a stream over an open file, such as a shell's `> FILE`. Undefined for any other stream. */
export function roomForStream(stream: Writable): RoomCheck | undefined {
  if (!('fd' in stream) || typeof stream.fd !== 'number') return undefined
  const { fd } = stream
  const file = openFile(fd)
  const stat = fstatSync(fd)
  if (file === undefined || !stat.isFile()) return undefined
  // What is written over has its room already.
  const isAppended = (file.flags & constants.O_APPEND) !== 0
  const kept = isAppended ? 0 : Math.max(0, stat.size - file.position)
  return (size) => check(`/proc/self/fd/${fd}`, 'the output', size - kept)
}

function check(place: string, path: string, size: number): void {
  const system = statfs(place)
  // Some network file systems don't say how large they are.
  if (system === undefined || system.blocks === 0) return
  const free = (process.geteuid?.() === 0 ? system.bfree : system.bavail) * system.bsize
  if (size <= free) return
  const room = `it needs ${formatBytes(size)}, and the disk has ${formatBytes(free)} left`
  const words = `There is no room for ${path}: ${room}. Free ${formatBytes(size - free)}, or choose another disk.`
  throw new EssError('file-unwritable', words)
}

function checkEntries(place: string, path: string, entries: number): void {
  const system = statfs(place)
  // Many file systems have as many files as there is room for, and say 0.
  if (system === undefined || system.files === 0 || entries <= system.ffree) return
  throw new EssError(
    'file-unwritable',
    `There is no room for ${path}: it has ${formatCount(entries, 'item')}, and the disk takes ${system.ffree} more. Delete some files, or choose another disk.`,
  )
}

function statfs(place: string): StatsFs | undefined {
  try {
    return statfsSync(place)
  } catch {
    // This check is a courtesy: if we can't ask, the write will tell.
    return undefined
  }
}
