import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import fc from 'fast-check'
import { sha256 } from './bytes.js'

/** A file, a symbolic link or a folder to be planted, by the names in it. */
export type Tree =
  | { readonly content: string | Uint8Array; readonly mode?: number; readonly mtime?: number }
  | { readonly link: string; readonly mtime?: number }
  | { readonly names: Readonly<Record<string, Tree>>; readonly mode?: number; readonly mtime?: number }

/** Makes the tree at `path`. */
export function plant(path: string, tree: Tree): void {
  const { mtime } = tree
  if ('link' in tree) {
    symlinkSync(tree.link, path)
    if (mtime !== undefined) lutimesSync(path, dateAt(mtime), dateAt(mtime))
    return
  }
  if ('content' in tree) writeFileSync(path, tree.content)
  else {
    mkdirSync(path)
    for (const [name, inner] of Object.entries(tree.names)) plant(`${path}/${name}`, inner)
  }
  if (tree.mode !== undefined) chmodSync(path, tree.mode)
  if (mtime !== undefined) utimesSync(path, dateAt(mtime), dateAt(mtime))
}

/** Node takes a negative number of seconds for now. */
function dateAt(seconds: number): Date {
  return new Date(seconds * 1000)
}

/** All that is at `path` and below it, one line each: what a tar should keep of it. */
export function snapshot(path: string, name = '.'): string[] {
  const stat = lstatSync(path)
  const seconds = Math.floor(stat.mtimeMs / 1000)
  const mode = (stat.mode & 0o777).toString(8)
  const shown = JSON.stringify(name)
  if (stat.isSymbolicLink()) return [`${shown} -> ${JSON.stringify(readlinkSync(path))} ${seconds}`]
  if (stat.isFile()) return [`${shown} ${mode} ${seconds} ${stat.size} ${sha256(readFileSync(path))}`]
  const inner = readdirSync(path).flatMap((one) => snapshot(`${path}/${one}`, `${name}/${one}`))
  return [`${shown} ${mode} ${seconds}`, ...inner].sort()
}

/** What makes trouble in names: for shells, terminals, tars, patterns and UTF-16. */
const NASTY = [
  ...'aB.-_ ~*?[]{}!#\'"\\\n\t\r\x01\x7f=,;:@%+&|<>$`^()',
  ...[
    'é',
    'e\u0301',
    'ß',
    '\u202e',
    '\u{1f600}',
    '\ufffd',
    '\ue000',
    '日本語',
    'x'.repeat(90),
    'ü'.repeat(40),
  ],
]
const LONGEST_BYTES = 255

const name = fc
  .array(fc.constantFrom(...NASTY), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''))
  .filter((text) => text !== '.' && text !== '..' && Buffer.byteLength(text) <= LONGEST_BYTES)

/** From before 1970 to beyond 2106, with fractions. */
const mtime = fc.oneof(
  fc.constantFrom(-1, -0.25, 0, 0.5, 2 ** 31 - 1, 2 ** 32),
  fc.integer({ min: -(2 ** 31), max: 2 ** 33 }).map((eighths) => eighths / 8),
)

/** A folder of some depth, with names that make trouble. Links lead to names beside them, there or not. */
export const tree: fc.Arbitrary<Tree> = fc.letrec<{ folder: Tree; file: Tree; link: Tree; any: Tree }>(
  (tie) => ({
    folder: fc.record({
      names: fc.dictionary(name, tie('any'), { maxKeys: 5, noNullPrototype: true }),
      mode: fc.integer({ min: 0, max: 0o77 }).map((mode) => mode | 0o700),
      mtime,
    }),
    file: fc.record({
      content: fc.oneof(
        fc.uint8Array({ maxLength: 20 }),
        fc.constantFrom(511, 512, 513, 1024, 70_000).map((bytes) => Buffer.alloc(bytes, 'content')),
      ),
      mode: fc.integer({ min: 0, max: 0o377 }).map((mode) => mode | 0o400),
      mtime,
    }),
    link: fc.record({
      link: fc.oneof(
        name,
        fc.tuple(name, name).map((names) => names.join('/')),
      ),
      mtime,
    }),
    any: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('file'), tie('link'), tie('folder')),
  }),
).folder
