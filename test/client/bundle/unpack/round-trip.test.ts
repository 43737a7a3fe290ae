import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { removeTree } from '../../../../client/bundle/unpack/remove-tree.js'
import { snapshot } from '../../../helpers/tree.js'
import { leaveAsKilled, pour, sinkFor, takeRest, unpack } from '../../../helpers/unpack.js'

const isRoot = process.geteuid?.() === 0
const FORMATS = ['pax', 'gnu', 'ustar'] as const

/** One thing to make, in the folder with this number, modulo those there are. */
interface Node {
  readonly kind: 'folder' | 'file' | 'symlink' | 'hardlink'
  readonly parent: number
  readonly name: Buffer
  readonly size: number
  readonly isSparse: boolean
  readonly mode: number
  readonly mtime: number
}

const NAMES = [
  ...[
    'a',
    'A',
    'ü',
    'u\u0308',
    '日本語',
    'with space',
    '-rf',
    '.hidden',
    '..a',
    'a\nb',
    'a\\b',
    'C:',
    'nul',
    '\u202ecod',
  ],
  'x'.repeat(99),
  'y'.repeat(100),
  'z'.repeat(255),
].map((name) => Buffer.from(name))
// No text in UTF-8.
const BYTES = Buffer.from([0x66, 0xff, 0xfe])
const SIZES = [0, 1, 511, 512, 513, 4095, 4096, 4097, 65_536, 65_537, 200_000]

const node: fc.Arbitrary<Node> = fc.record({
  kind: fc.constantFrom('folder', 'folder', 'file', 'file', 'file', 'symlink', 'hardlink'),
  parent: fc.nat(20),
  name: fc.oneof(
    fc.constantFrom(...NAMES, BYTES),
    fc.string({ minLength: 1, maxLength: 8 }).map((name) => Buffer.from(name.replace(/[/\0]/g, '_'))),
  ),
  size: fc.constantFrom(...SIZES),
  isSparse: fc.boolean(),
  // Who isn't root could not pack what it may not read.
  mode: isRoot
    ? fc.constantFrom(0o644, 0o600, 0o755, 0o444, 0o000, 0o555)
    : fc.constantFrom(0o644, 0o600, 0o755, 0o444, 0o555),
  mtime: fc.constantFrom(0, 1, 1_000_000_000, 1_700_000_000, 4_000_000_000),
})

function under(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from('/'), name])
}

const WHEN = 1_600_000_000

/** Makes a folder `photos` with these things in it, as far as there is room for their names. */
function grow(root: string, nodes: readonly Node[]): void {
  const top = Buffer.from(join(root, 'photos'))
  mkdirSync(top)
  const folders: Buffer[] = [top]
  const files: Buffer[] = []
  const finish = [() => utimesSync(top, WHEN, WHEN)]
  for (const { kind, parent, name, size, isSparse, mode, mtime } of nodes) {
    const folder = folders[parent % folders.length] ?? top
    const path = under(folder, name)
    if (
      ['.', '..'].includes(name.toString()) ||
      lstatSync(path, { throwIfNoEntry: false }) ||
      path.length - root.length > 240
    )
      continue
    if (kind === 'folder') {
      mkdirSync(path)
      folders.push(path)
      finish.push(
        () => utimesSync(path, mtime, mtime),
        () => chmodSync(path, mode | (isRoot ? 0 : 0o500)),
      )
    }
    if (kind === 'file') {
      const content = Buffer.alloc(size, isSparse ? 0 : 0x61)
      if (size > 0) content[size >> 1] = 0x62
      writeFileSync(path, content)
      utimesSync(path, mtime, mtime)
      chmodSync(path, mode)
      files.push(path)
    }
    if (kind === 'symlink') {
      symlinkSync(under(Buffer.from('.'), name), path)
      lutimesSync(path, mtime, mtime)
    }
    const first = files[parent % Math.max(1, files.length)]
    if (kind === 'hardlink' && first !== undefined) linkSync(first, path)
  }
  // What is put into a folder changes its time; and the innermost come first.
  for (const each of finish.toReversed()) each()
}

/** A tar of the folder `photos` that these things make; and the folder it is in. */
function packed(root: string, nodes: readonly Node[], format: string): Buffer {
  grow(root, nodes)
  // Of the times, `ustar` has whole seconds alone, and its names have 100 bytes or a slash in a good place.
  const args = ['-C', root, `--format=${format}`, '-cf', '-', 'photos']
  return execFileSync('tar', args, { maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Folders of one run, removed at its end. */
async function inFolders(work: (from: string, to: string) => Promise<void>): Promise<void> {
  const [from, to] = await Promise.all([mkdtemp('/tmp/ess-test-from-'), mkdtemp('/tmp/ess-test-to-')])
  try {
    await work(from, to)
  } finally {
    await Promise.all([removeTree(from), removeTree(to)])
  }
}

const cutting = fc
  .array(fc.constantFrom(1, 7, 511, 512, 513, 4096, 65_536, 1_048_576), { minLength: 1, maxLength: 4 })
  .filter((lengths) => lengths.some((length) => length > 500))

test('what GNU tar packs is unpacked as it was, however its bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(node, { maxLength: 25 }),
      fc.constantFrom(...FORMATS),
      cutting,
      async (nodes, format, lengths) => {
        await inFolders(async (from, to) => {
          const tar = packed(
            from,
            format === 'ustar' ? nodes.filter(({ name }) => name.length < 90) : nodes,
            format,
          )
          expect(await unpack(to, tar, {}, lengths)).toBeUndefined()
          expect(snapshot(to)).toEqual(snapshot(from))
        })
      },
    ),
    { numRuns: 60 },
  )
})

test('a run that was killed at any byte is gone on with, to the same tree', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(node, { minLength: 3, maxLength: 12 }),
      cutting,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 4 }),
      async (nodes, lengths, kills) => {
        await inFolders(async (from, to) => {
          const tar = packed(from, nodes, 'pax')
          for (const kill of kills) {
            const sink = await sinkFor(to, tar)
            const begun = sink.begun ?? 0
            const end = begun + Math.floor((tar.length - begun) * kill)
            await pour(sink, tar.subarray(begun, end), lengths)
            const part = await leaveAsKilled(sink)
            expect(await readdir(to)).toEqual(part === undefined ? [] : ['photos.Abc123.part'])
          }
          expect(await takeRest(await sinkFor(to, tar), tar, lengths)).toBeUndefined()
          expect(snapshot(to)).toEqual(snapshot(from))
        })
      },
    ),
    { numRuns: 60 },
  )
})
