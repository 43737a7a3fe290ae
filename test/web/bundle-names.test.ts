import fc from 'fast-check'
import { expect, test } from 'vitest'
import { foldedName } from '../../shared/folded-name.js'
import { toLatin1 } from '../../shared/latin1.js'
import { Names, type Standing } from '../../web/receive/bundle/names.js'

/** What Chromium allows in a folder of a person's (`net::IsSafePortablePathComponent`, as it was seen to answer). */
const NOT_ALLOWED =
  /^[\s~]|[\s~.]$|^(?:thumbs\.db|desktop\.ini)$|\.(?:lnk|url|scf|\{.*)$|^clock\$$|[<>:"|?*\\/\p{Cc}\p{Cf}]/iu

/** The names of some paths on a disk for which names in the other case are the same. */
async function given(paths: readonly (string | Uint8Array)[]): Promise<readonly string[]> {
  const names = new Names()
  const taken = new Set<string>()
  const look = (found: readonly string[]): Promise<Standing> => {
    const path = found.join('/')
    if (NOT_ALLOWED.test(found.at(-1) ?? '')) return Promise.resolve('forbidden')
    if (taken.has(foldedName(path))) return Promise.resolve('taken')
    return Promise.resolve('free')
  }
  const all: string[] = []
  for (const path of paths) {
    const bytes = typeof path === 'string' ? new TextEncoder().encode(path) : path
    const found = (await names.give(toLatin1(bytes), look)).join('/')
    taken.add(foldedName(found))
    all.push(found)
  }
  return all
}

test('names that are one somewhere get numbers, and what is in a folder goes with it', async () => {
  const paths = ['a?', 'a?/x', 'a:', 'a:/x', 'a_', '.env', 'env', 'README', 'readme', '...', 'd', 'd/..x']
  expect(await given(paths)).toEqual([
    ...['a_', 'a_/x', 'a_ (2)', 'a_ (2)/x', 'a_ (3)', 'env', 'env (2)', 'README', 'readme (2)'],
    ...['_', 'd', 'd/..x'],
  ])
})

test('names that are no text are told apart', async () => {
  const bytes = [0xe8, 0xe9].map((byte) => new Uint8Array([0x78, byte]))
  expect(await given(bytes)).toEqual(['x\ufffd', 'x\ufffd (2)'])
})

test.each([
  ['Thumbs.db', 'Thumbs.db_'],
  ['desktop.ini', 'desktop.ini_'],
  ['app.lnk', 'app.lnk_'],
  ['name~', 'name_'],
  ['d~', 'd_'],
])('%s, which Chromium does not allow, becomes %s', async (name, wanted) => {
  expect(await given(['top', `top/${name}`])).toEqual(['top', `top/${wanted}`])
})

test('many of one name take no longer than others', async () => {
  let looks = 0
  const names = new Names()
  const taken = new Set<string>()
  for (let count = 0; count < 2000; count++) {
    const [name = ''] = await names.give('what?', (found) => {
      looks++
      return Promise.resolve(taken.has(found.join('/')) ? 'taken' : 'free')
    })
    taken.add(name)
  }
  expect(taken.size).toBe(2000)
  expect(looks).toBe(2000)
})

test('whatever a sender calls its files, each gets a name that the browser allows, and no other has', async () => {
  const name = fc
    .oneof(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
      fc.stringMatching(/^[ ~.?:_a]{1,4}$/),
      fc.constantFrom('CON', 'thumbs.db', 'x.{a}', 'é'.repeat(127), `${'~'.repeat(255)}`),
    )
    .map((text) => text.replace(/[/\0]/g, '-'))
    .filter((text) => text !== '.' && text !== '..')
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(name, { maxLength: 30 }), async (names) => {
      const found = await given(['top', ...names.map((one) => `top/${one}`)])
      expect(new Set(found.map(foldedName)).size).toBe(names.length + 1)
      for (const one of found) expect(Buffer.byteLength(one)).toBeLessThanOrEqual(255 + 'top/'.length)
    }),
    { numRuns: 200 },
  )
})
