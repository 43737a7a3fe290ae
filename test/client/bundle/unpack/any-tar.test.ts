import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { removeTree } from '../../../../client/bundle/unpack/remove-tree.js'
import { EssError } from '../../../../shared/index.js'
import { needs } from '../../../helpers/needs.js'
import { header, type Made, padded, record, summed, tarOf } from '../../../helpers/tar.js'
import { snapshot } from '../../../helpers/tree.js'
import { unpack } from '../../../helpers/unpack.js'

beforeEach((context) => needs(context, 'tar'))

const NAMES = [
  'd',
  'd/',
  'd/a',
  'd/e',
  'd/e/',
  'd/e/b',
  'x',
  '../x',
  '/tmp/x',
  'd/../x',
  './x',
  '',
  '.',
  '..',
  'd//a',
  'd/l',
  'd/l/x',
]
const name = fc.constantFrom(...NAMES)
const target = fc.constantFrom(
  'a',
  '.',
  '..',
  '../x',
  '../../x',
  '/etc',
  'e/../..',
  'l/../..',
  'd/a',
  'x',
  '',
)
const content = fc.constantFrom('', 'x', 'y'.repeat(512), 'z'.repeat(513))

const made: fc.Arbitrary<Made> = fc.record(
  {
    name,
    type: fc.constantFrom('0', '0', '\0', '5', '5', '2', '1', '3', '6', '7', 'S', 'V', 'q'),
    content,
    link: target,
    mode: fc.constantFrom(0o644, 0o7777, 0),
    pax: fc.dictionary(
      fc.constantFrom('path', 'linkpath', 'size', 'mtime', 'comment'),
      fc.oneof(name, target, content, fc.constantFrom('0', '1', '512')),
      { maxKeys: 2 },
    ),
  },
  { requiredKeys: ['name'] },
)
const extension = fc
  .tuple(fc.constantFrom('L', 'K', 'x', 'g'), fc.oneof(name, target))
  .map(([type, value]) => {
    const data = 'xg'.includes(type) ? record(value === '' ? 'size' : 'path', value) : `${value}\0`
    return Buffer.concat([header({ name: 'e', type, content: data }), padded(data)])
  })
/** A header with one byte changed, and a right checksum. */
const bent = fc.tuple(made, fc.nat(511), fc.integer({ min: 0, max: 255 })).map(([one, at, byte]) => {
  const { content: held = '' } = one
  return Buffer.concat([summed(header(one).fill(byte, at, at + 1)), padded(held)])
})

/** Unpacks it here, beside things that must stay as they are; and by GNU tar, in the same place elsewhere. */
async function both(tar: Buffer): Promise<void> {
  const around = mkdtempSync('/tmp/ess-test-any-')
  const [to, other] = [join(around, 'to'), join(around, 'other')]
  try {
    mkdirSync(to)
    mkdirSync(other)
    const before = snapshot(around)
    const error = await unpack(to, tar, { entries: 20 })
    expect({ ...snapshot(around), to: before['to'] }).toEqual(
      error === undefined ? { ...before, ...prefixed('to/', snapshot(to)) } : before,
    )
    if (error !== undefined) {
      expect(error).toBeInstanceOf(EssError)
      expect(error.code).toBe('unsafe-bundle')
      return
    }
    // What is unpacked here is what everyone sees in it.
    const { status, stderr } = spawnSync('tar', ['-C', other, '-xf', '-'], { input: tar, encoding: 'utf8' })
    // Fields that we don't read.
    if (status !== 0 && /numeric (?:uid|gid|major|minor)/.test(stderr)) return
    expect({ status, stderr }).toMatchObject({ status: 0 })
    expect(names(snapshot(to))).toEqual(names(snapshot(other)))
  } finally {
    await removeTree(around)
  }
}

function prefixed(prefix: string, found: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(found).map(([path, what]) => [`${prefix}${path}`, what]))
}

/** The names, kinds and contents. Modes and times depend on who unpacks. */
function names(found: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(found)
    .map(([path, what]) => `${path} ${what.replace(/^(\d+)\d{4} -?\d+/, '$1')}`)
    .sort()
}

test('a tar of any entries is refused, or unpacked to what GNU tar makes of it', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 6, arbitrary: made }, extension, bent), { maxLength: 5 }),
      async (entries) => {
        await both(tarOf({ name: 'd/', type: '5', mode: 0o755 }, ...entries))
      },
    ),
    { numRuns: 200 },
  )
})

test('a tar with any bytes changed is refused, or unpacked to what GNU tar makes of it', {
  timeout: 120_000,
}, async () => {
  const whole = tarOf(
    { name: 'd/', type: '5', mode: 0o755 },
    { name: 'd/a', content: 'hello' },
    { name: 'd/h', type: '1', link: 'd/a' },
    { name: 'd/l', type: '2', link: 'a' },
    { name: 'x', content: 'z'.repeat(600), pax: { path: 'd/long', mtime: '1.5' } },
  )
  const change = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }))
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (changes, isSummed) => {
        const tar = Buffer.from(whole)
        for (const [at, byte] of changes) {
          tar[at] = byte
          // The header that it is in, if it is one.
          const block = tar.subarray(at - (at % 512), at - (at % 512) + 512)
          if (isSummed && block.toString('latin1', 257, 262) === 'ustar') summed(block)
        }
        await both(tar)
      },
    ),
    { numRuns: 200 },
  )
})

test('any bytes are refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 3000 }), async (bytes) => {
      const to = mkdtempSync('/tmp/ess-test-any-')
      try {
        const error = await unpack(to, Buffer.from(bytes), { entries: 5 }, [700])
        expect(error?.code).toBe('unsafe-bundle')
        expect(readdirSync(to)).toEqual([])
      } finally {
        await removeTree(to)
      }
    }),
    { numRuns: 100 },
  )
})
