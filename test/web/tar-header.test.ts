import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { headerLength, writeHeader } from '../../client/bundle/pack/header.js'
import { type TarEntry, tarHeader } from '../../web/send/tar-header.js'

const NOBODY = { dev: 0n, ino: 0n, size: 0n, mtimeNs: 0n }

/** The same by the client, from the same facts. */
function byClient({ path, size, mtime }: TarEntry): Buffer {
  const operand = { place: '', shown: '', name: '' }
  const entry =
    size === undefined
      ? ({ kind: 'folder', path, mode: 0o755, mtime } as const)
      : ({ kind: 'file', path, mode: 0o644, mtime, size, operand, seen: NOBODY } as const)
  const memory = Buffer.alloc(headerLength(entry))
  writeHeader(entry, memory)
  return memory
}

describe('the page writes the header that ess writes', () => {
  test.each<[string, TarEntry]>([
    ['a file', { path: 'a.txt', size: 5, mtime: 1_700_000_000 }],
    ['a folder', { path: 'photos', size: undefined, mtime: 1_700_000_000 }],
    ['a name of 99 bytes', { path: 'x'.repeat(99), size: 0, mtime: 0 }],
    ['a name that is not ASCII', { path: 'Bücher/ångström.txt', size: 1, mtime: 1 }],
    ['8 GiB less one byte', { path: 'large', size: 0o77777777777, mtime: 1 }],
  ])('for %s', (_what, entry) => {
    expect(Buffer.from(tarHeader(entry)).equals(byClient(entry))).toBe(true)
  })

  test.each<[string, TarEntry]>([
    ['a name of 100 bytes', { path: 'x'.repeat(100), size: 7, mtime: 9 }],
    ['a folder of 99 bytes', { path: 'x'.repeat(99), size: undefined, mtime: 9 }],
    ['a name of 300 bytes', { path: `${'x'.repeat(149)}/${'y'.repeat(150)}`, size: 7, mtime: 9 }],
  ])('for %s, but for what the extended header overrides', (_what, entry) => {
    const rest = (header: Buffer) => {
      // The name, the checksum over it, and the prefix, which the client makes of the folders.
      for (const [at, end] of [
        [0, 100],
        [148, 156],
        [345, 500],
      ] as const)
        header.fill(0, header.length - 512 + at, header.length - 512 + end)
      return header
    }
    expect(rest(Buffer.from(tarHeader(entry))).equals(rest(byClient(entry)))).toBe(true)
  })

  test('for any short name', () => {
    const name = fc.stringMatching(/^[\w .-]{1,40}$/)
    fc.assert(
      fc.property(
        name,
        fc.option(fc.nat(0o7777777777), { nil: undefined }),
        fc.nat(2 ** 32),
        (path, size, mtime) => {
          expect(Buffer.from(tarHeader({ path, size, mtime })).equals(byClient({ path, size, mtime }))).toBe(
            true,
          )
        },
      ),
    )
  })
})
