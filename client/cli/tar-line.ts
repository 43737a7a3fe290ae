import { basename, dirname, join, normalize, relative, resolve } from 'node:path'
import { withoutUserinfo } from '../../shared/index.js'
import { NOT_UTF8 } from '../files/raw-arguments.js'
import { absolute } from './current-folder.js'
import { flagOf, OPTIONS, type OptionName } from './options.js'
import type { Words } from './parser.js'
import { shellWord } from './shell-word.js'

/** What was typed, as far as it matters for another line that does the same. */
export interface Typed {
  readonly options: Words['options']
}

/**
 * The line that sends several files, or a folder, as one: it can be pasted as it stands. Names that a message can't
 * show get placeholders. The archive names no folder that a path goes through, unless it must tell two members apart.
 */
export function tarLine(paths: readonly string[], cwd: string | undefined, { options }: Typed): string {
  if (paths.some((path) => path.includes(NOT_UTF8) || /\p{Cc}/u.test(path)))
    return 'tar c FOLDER | ess send --name folder.tar'
  const members = paths.map((path) => memberOf(path, cwd))
  const archive = paths.length === 1 && members[0] !== undefined ? `${members[0].title}.tar` : 'files.tar'
  const name = typeof options.name === 'string' ? options.name : archive
  const send = ['ess', 'send', '--name', shellWord(name), ...othersOf(options)]
  return [...tarWords(members, cwd), '|', ...send].join(' ')
}

interface Member {
  /** The folder that it is in, as it was typed. */
  readonly parent: string
  /** Its name in there. */
  readonly name: string
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

function tarWords(members: readonly Member[], cwd: string | undefined): readonly string[] {
  const names = members.map(({ name }) => name)
  const parents = [...new Set(members.map(({ parent }) => parent))]
  // A list has one folder. In one archive, the second of two equal names would overwrite the first.
  const isList = names.some((name) => name.includes('\\'))
  const areDistinct = new Set(names).size === names.length
  if (parents.length > 1 && (isList || !areDistinct)) {
    const whole = members.map(({ parent, name }) => absolute(cwd, join(parent, name)))
    const shared = whole.map(dirname).reduce(sharedFolder)
    return tarOf(
      shared,
      whole.map((path) => relative(shared, path)),
    )
  }
  const [parent = '.', ...others] = parents
  if (others.length === 0) return tarOf(parent, names)
  // tar reads each -C from the folder of the one before it, so the paths from the second on are whole.
  const inEach = parents.flatMap((folder, at) => [
    ...(folder === '.' && at === 0 ? [] : ['-C', shellPath(at === 0 ? folder : absolute(cwd, folder))]),
    ...members.filter((member) => member.parent === folder).map((member) => shellPath(member.name)),
  ])
  return ['tar', 'c', ...inEach]
}

/** The words that archive `names`, which are all in the folder `parent`. */
function tarOf(parent: string, names: readonly string[]): readonly string[] {
  const tar = parent === '.' ? ['tar', 'c'] : ['tar', 'cC', shellPath(parent)]
  if (!names.some((name) => name.includes('\\'))) return [...tar, ...names.map(shellPath)]
  // In its arguments GNU tar reads \b as a control character, and other tars don't. In such a list no tar does.
  return ['printf', "'%s\\0'", ...names.map(shellPath), '|', ...tar, '--null', '-T', '-']
}

/** The folder that both folders are in. */
function sharedFolder(one: string, other: string): string {
  return `${other}/`.startsWith(`${one}/`) || one === '/' ? one : sharedFolder(dirname(one), other)
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
