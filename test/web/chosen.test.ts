import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TarReader } from '../../shared/tar-reader.js'
import { Tree } from '../../shared/tar-tree.js'
import { bundleOf } from '../../web/send/bundle.js'
import { Chosen } from '../../web/send/chosen.js'

/** All with the same size and time: only the content says which one it is. */
function file(content: string, name: string): File {
  return new File([content], name, { lastModified: 1_000_000_000_000 })
}

/** What a strict receiver finds in the bundle: the content of each file by its path, and `folder` for a folder. */
async function received(chosen: Chosen): Promise<ReadonlyMap<string, string>> {
  const { parts, entries } = bundleOf(chosen)
  const bytes = new Uint8Array(await new Blob([...parts]).arrayBuffer())
  const reader = new TarReader(bytes.length)
  const tree = new Tree({ entries })
  const found = new Map<string, string>()
  let path = ''
  for (const piece of reader.read(bytes))
    if ('entry' in piece) {
      tree.add(piece.entry)
      path = Buffer.from(piece.entry.path, 'latin1').toString()
      found.set(path, piece.entry.kind === 'folder' ? 'folder' : '')
    } else if ('data' in piece) found.set(path, found.get(path) + Buffer.from(piece.data).toString())
  reader.end()
  expect(found.size).toBe(entries)
  return found
}

test('a file never takes the place of another thing of its name', async () => {
  const chosen = new Chosen()
  chosen.add().file('key.txt', file('1', 'key.txt'))
  chosen.add().file('key.txt', file('2', 'key.txt'))
  chosen.add().file('build', file('3', 'build'))
  chosen.add().file('build/a', file('4', 'a'))
  const together = chosen.add()
  together.folder('build')
  together.file('build/a', file('5', 'a'))
  together.file('build', file('6', 'build'))
  expect(Object.fromEntries(await received(chosen))).toEqual({
    'key.txt': '1',
    'key (2).txt': '2',
    build: '3',
    'build (2)': 'folder',
    'build (2)/a': '4',
    'build (3)': 'folder',
    'build (3)/a': '5',
    'build (4)': '6',
  })
  expect(chosen.tops).toContain('key (2).txt')
  expect(chosen.size).toBe(6)
})

test('names that other systems may have fit a receiver', async () => {
  const chosen = new Chosen()
  const add = (path: string, content: string) => chosen.add().file(path, file(content, 'any'))
  // 200 characters of Japanese are 600 bytes, and half of a pair has no bytes of its own.
  const long = '写'.repeat(200)
  add(`${long}.jpg`, '1')
  add(`${long}真.jpg`, '2')
  add(`${long}/${long}.jpg`, '3')
  add('half \ud800', '4')
  add('half \udc00', '5')
  const found = await received(chosen)
  expect([...found.values()].sort()).toEqual(['1', '2', '3', '4', '5', 'folder'])
  for (const path of found.keys())
    for (const name of path.split('/')) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255)
})

test('whatever is chosen, all of it is in a bundle that can be opened', async () => {
  const name = fc.constantFrom('a', 'A', 'a (2)', 'b.txt', 'b (2).txt', '.x', '..x', '写'.repeat(90))
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'))
  const choice = fc.uniqueArray(path, { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(fc.array(choice, { minLength: 1, maxLength: 5 }), async (choices) => {
      const chosen = new Chosen()
      let count = 0
      for (const paths of choices) {
        const adding = chosen.add()
        // As in any folder, a name leads to a file or to a folder.
        const isFolder = (one: string) => paths.some((other) => other.startsWith(`${one}/`))
        for (const one of paths)
          if (isFolder(one)) adding.folder(one)
          else adding.file(one, file(String(count++), 'any'))
      }
      const contents = [...(await received(chosen)).values()].filter((content) => content !== 'folder')
      expect(contents.sort()).toEqual(Array.from({ length: count }, (_, index) => String(index)).sort())
    }),
    { numRuns: 200 },
  )
})
