import { accessSync, constants, lstatSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { EssError } from '../../shared/index.js'
import { isDescriptor } from '../files/descriptor.js'
import { exists, unwritable } from '../files/unwritable.js'
import { codeOf } from '../node/errno-words.js'

/** A pipe, a device, or an open file. We write to it directly. */
export interface StreamTarget {
  readonly kind: 'stream'
  readonly path: string
  readonly flags: 'w' | 'a'
  /** True for a FIFO under its own name: opening it waits for a reader. */
  readonly isFifo: boolean
}

/** The name that a download gets once it is whole. */
export interface FileTarget {
  readonly kind: 'file'
  /** The path that was asked for. */
  readonly path: string
  /** Where `path` leads: another path if it is a symbolic link. */
  readonly real: string
  /** The file that is replaced. */
  readonly old: Stats | undefined
  /** True if no other file can take this name, so the bytes must go into the file that has it. */
  readonly isFixed: boolean
}

export interface TargetOptions {
  /** True writes over an existing file. */
  readonly force: boolean
  /** True for a path from the user, false for a name from the sender. */
  readonly isTyped: boolean
}

/**
 * Examines the place of a download before we ask the server for the bytes. The link works once, so any refusal of the
 * name has to come first. Throws EssError `file-exists` or `file-unwritable`.
 */
export function findTarget(path: string, { force, isTyped }: TargetOptions): StreamTarget | FileTarget {
  // The shell may have opened it with `>>`, so don't truncate it.
  if (isTyped && isDescriptor(path)) return { kind: 'stream', path, flags: 'a', isFifo: false }
  const entry = look(path, lstatSync)
  if (entry === undefined) {
    checkFolder(dirname(path))
    return { kind: 'file', path, real: path, old: undefined, isFixed: false }
  }
  const isLink = entry.isSymbolicLink()
  const old = isLink ? look(path, statSync) : entry
  if (old?.isDirectory()) {
    if (!isTyped && !force) throw exists(path)
    throw new EssError('file-unwritable', `${path} is a folder. Name a file in it: -o ${join(path, 'NAME')}`)
  }
  if (isTyped && old !== undefined && !old.isFile()) return deviceTarget(path, old)
  if (!force) throw exists(path)
  // A stranger chose this name: it must not lead out of the folder or into a device.
  if (!isTyped && !entry.isFile())
    throw new EssError(
      'file-exists',
      `${path} exists already, and is not a plain file. Choose another name with -o.`,
    )
  if (old === undefined)
    throw new EssError(
      'file-unwritable',
      `Cannot write ${path}: it is a symbolic link that leads nowhere. Choose another name with -o.`,
    )
  return fileTarget(path, isLink ? follow(path) : path, old)
}

/** Throws EssError `file-unwritable` if no file can be created in the folder at `path`. */
export function checkFolder(path: string): void {
  try {
    accessSync(path, constants.W_OK)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') throw noFolder(path, 'does not exist', error)
    if (code === 'EACCES') throw notYours(path, error)
    throw unwritable(path, error)
  }
  if (!statSync(path).isDirectory()) throw noFolder(path, 'is a file, not a folder')
}

function notYours(folder: string, cause: unknown): EssError {
  const words = `You have no permission to create files in ${folder}. Choose another folder with -o.`
  return new EssError('file-unwritable', words, { cause })
}

function noFolder(path: string, trouble: string, cause?: unknown): EssError {
  const words = `${path} ${trouble}. Create the folder, or choose another one with -o.`
  return new EssError('file-unwritable', words, { cause })
}

/** The target for a device, a FIFO or a socket. Renaming a file over /dev/null would be a bad surprise. */
function deviceTarget(path: string, stat: Stats): StreamTarget {
  if (stat.isSocket())
    throw new EssError(
      'file-unwritable',
      `Cannot write ${path}: it is a socket. Choose another name with -o.`,
    )
  try {
    accessSync(path, constants.W_OK)
  } catch (error) {
    throw unwritable(path, error)
  }
  return { kind: 'stream', path, flags: 'w', isFifo: stat.isFIFO() }
}

function fileTarget(path: string, real: string, old: Stats): FileTarget {
  checkFolder(dirname(real))
  const isFixed = isAnothersInStickyFolder(real, old) || isMountPoint(real)
  try {
    accessSync(real, constants.W_OK)
  } catch (error) {
    // A read-only file can be replaced by another one. An immutable file (EPERM) can't.
    if (isFixed || codeOf(error) !== 'EACCES') throw unwritable(path, error)
  }
  return { kind: 'file', path, real, old, isFixed }
}

function look(path: string, stat: typeof lstatSync): Stats | undefined {
  try {
    return stat(path, { throwIfNoEntry: false })
  } catch (error) {
    throw unwritable(path, error)
  }
}

function follow(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    throw unwritable(path, error)
  }
}

/** In a sticky folder such as /tmp, only the owner of the file or of the folder can take a name away. */
function isAnothersInStickyFolder(path: string, stat: Stats): boolean {
  const user = process.geteuid?.()
  if (user === undefined || user === 0 || user === stat.uid) return false
  const folder = statSync(dirname(path))
  return (folder.mode & 0o1000) !== 0 && folder.uid !== user
}

/** A file may be a mount of its own, as in containers. Its name can't be taken away (EBUSY). */
function isMountPoint(path: string): boolean {
  if (process.platform !== 'linux') return false
  try {
    const real = realpathSync(path)
    return readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .some((line) => unescapeOctal(line.split(' ')[4] ?? '') === real)
  } catch {
    // Without /proc, the rename will tell.
    return false
  }
}

/** The kernel writes spaces and line feeds in a path as `\040` and `\012`. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_whole, digits: string) => String.fromCharCode(parseInt(digits, 8)))
}
