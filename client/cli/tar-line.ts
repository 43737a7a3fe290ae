import { basename, dirname, normalize, resolve } from 'node:path'
import { withoutUserinfo } from '../../shared/index.js'
import { quoteForShell } from '../../shared/shell-word.js'
import { NOT_UTF8 } from '../files/raw-arguments.js'
import { flagOf, OPTIONS, type OptionName } from './options.js'

/** What was typed, as far as it matters for another line that does the same. */
export interface Typed {
  readonly options: Readonly<Partial<Record<OptionName, string | boolean>>>
}

/**
 * The line that sends several files, or a folder, as one: it can be pasted as it stands. Names that a message can't
 * show get placeholders.
 */
export function tarLine(paths: readonly string[], cwd: string | undefined, { options }: Typed): string {
  if (paths.some((path) => path.includes(NOT_UTF8) || /\p{Cc}/u.test(path)))
    return 'tar c FOLDER | ess send --name folder.tar'
  const members = paths.map((path) => memberOf(path, cwd))
  const parents = new Set(members.map(({ parent }) => parent))
  const [only] = members
  const isTogether = parents.size === 1 && members.every(({ name }) => name !== undefined)
  const parent = isTogether ? only?.parent : '.'
  const names = isTogether ? members.map(({ name = '' }) => name) : paths
  const archive = paths.length === 1 && only?.title !== undefined ? `${only.title}.tar` : 'files.tar'
  const tar = parent === '.' || parent === undefined ? ['tar', 'c'] : ['tar', 'cC', shellPath(parent)]
  const name = typeof options.name === 'string' ? options.name : archive
  const send = ['ess', 'send', '--name', shellWord(name), ...othersOf(options)]
  return [...tar, ...names.map(shellPath), '|', ...send].join(' ')
}

interface Member {
  /** The folder that it is in, as it was typed. */
  readonly parent: string
  /** Its name in there. */
  readonly name: string | undefined
  /** The name to give the archive. */
  readonly title: string
}

function memberOf(path: string, cwd: string | undefined): Member {
  const clean = normalize(path).replace(/(?<=.)\/+$/, '')
  if (clean === '/') return { parent: '/', name: '.', title: 'root' }
  if (!/(?:^|\/)\.\.?$/.test(clean))
    return { parent: dirname(clean), name: basename(clean), title: basename(clean) }
  // `.` and `..` have no name of their own: it stands in the current folder's path.
  const real = cwd === undefined ? '' : resolve(cwd, clean)
  const name = basename(real)
  if (name === '') return { parent: clean, name: '.', title: cwd === undefined ? 'folder' : 'root' }
  return { parent: clean === '.' ? '..' : `${clean}/..`, name, title: name }
}

/** The options that were given, for the same command line; a password in the server's URL isn't shown. */
function othersOf(options: Typed['options']): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    const name = key as OptionName // Object.entries types keys as text.
    if (name === 'name' || value === undefined || value === false) return []
    return OPTIONS[name].kind === 'switch'
      ? [`--${flagOf(name)}`]
      : [`--${flagOf(name)}`, shellWord(withoutUserinfo(String(value)))]
  })
}

/** A path that no program takes for an option, as one word for a shell. */
function shellPath(path: string): string {
  return shellWord(/^[-@]/.test(path) ? `./${path}` : path)
}

/** Text as one word for a shell, quoted only where it has to be. */
export function shellWord(text: string): string {
  return /^[\w./:@+,-][\w./:@+,=-]*$/.test(text) ? text : quoteForShell(text)
}
