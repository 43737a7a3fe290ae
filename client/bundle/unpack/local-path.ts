import { isUtf8 } from 'node:buffer'
import { readdirSync } from 'node:fs'
import { join, sep } from 'node:path'
import { replaceHidden } from '../../../shared/hidden.js'
import { unsafe } from '../../../shared/tar-unsafe.js'
import { localFileName } from '../../files/local-name.js'

/** A path for `node:fs`: text, or bytes that are no text. */
export type LocalPath = string | Buffer

const ASCII = /^[\0-\x7f]*$/
/** Systems that take any bytes as a name. macOS and Windows take text alone. */
const TAKES_BYTES = process.platform !== 'darwin' && process.platform !== 'win32'

/**
 * The path of an entry in `folder`. `path` are the bytes of the entry's own path, which `entryOf` has checked. Throws
 * EssError `unsafe-bundle` for a name that this system can't have.
 */
export function localPath(folder: string, path: string): LocalPath {
  if (ASCII.test(path) && sep === '/') return `${folder}/${path}`
  const local = localText(path)
  if (typeof local === 'string') return `${folder}${sep}${local}`
  return Buffer.concat([Buffer.from(`${folder}/`), local])
}

/** The same bytes as this system has them in a path or in a symbolic link. Throws EssError `unsafe-bundle`. */
export function localText(path: string): LocalPath {
  const bytes = Buffer.from(path, 'latin1')
  if (!isUtf8(bytes)) {
    if (TAKES_BYTES) return bytes
    throw unsafe('is no text, and this system takes no such name', path)
  }
  const text = bytes.toString()
  return process.platform === 'win32' ? windowsPath(text) : text
}

/** What is in a folder. */
export function namesIn(folder: LocalPath): readonly LocalPath[] {
  return TAKES_BYTES ? readdirSync(folder, { encoding: 'buffer' }) : readdirSync(folder)
}

/** The path of a name in a folder. */
export function under(folder: LocalPath, name: LocalPath): LocalPath {
  if (typeof folder === 'string' && typeof name === 'string') return join(folder, name)
  if (typeof folder === 'string' && isUtf8(name as Buffer)) return join(folder, String(name))
  return Buffer.concat([Buffer.from(folder as string), Buffer.from(sep), Buffer.from(name as string)])
}

/** The same path with names that Windows takes. */
export function windowsPath(path: string): string {
  return path
    .split('/')
    .map((name) => (name === '.' || name === '..' ? name : windowsName(name)))
    .join('\\')
}

function windowsName(name: string): string {
  return localFileName(
    replaceHidden(name.replaceAll('\\', '_'), () => '_'),
    'win32',
  )
}
