import { generateHybridIdentity, generateX25519Identity } from 'age-encryption'
import { describe, expect, test } from 'vitest'
import { EssError, sealedLink, splitSealedLink } from '../../shared/index.js'

const LINK = 'https://send.example.org/AbCdEfGhIjKl'
const KEY = await generateX25519Identity()
const PQ_KEY = await generateHybridIdentity()

test('the key is added behind a #, and found there again', () => {
  const link = sealedLink(LINK, KEY)
  expect(link).toBe(`${LINK}#${KEY}`)
  expect(splitSealedLink(link)).toEqual({ link: LINK, identity: KEY })
  expect(new URL(link).hash).toBe(`#${KEY}`)
})

test.each([
  ['as it was', KEY, KEY],
  ['in small letters', KEY.toLowerCase(), KEY],
  ['in mixed letters, as after a word of it was corrected', `a${KEY.slice(1)}`, KEY],
  ['percent-encoded', encodeURIComponent(KEY).replaceAll('-', '%2D').replace('A', '%41'), KEY],
  ['with a space behind it', `${KEY}%20`, KEY],
  ...[...'.,;:!?)]}>"\'*_', '.)', '”', '»', '。'].map((end) => [
    `with ${end} behind it`,
    `${KEY}${end}`,
    KEY,
  ]),
  ['in brackets', `<${encodeURI(KEY)}>`, KEY],
  ['of the post-quantum kind', PQ_KEY, PQ_KEY],
])('a key %s is found', (_how, fragment, identity) => {
  expect(splitSealedLink(`${LINK}#${fragment}`)).toEqual({ link: LINK, identity })
})

test.each(['%23', '%2523', '\uff03', '%EF%BC%83'])('a # that became %s on its way is one', (hash) => {
  expect(splitSealedLink(`${LINK}${hash}${KEY}`)).toEqual({ link: LINK, identity: KEY })
  expect(splitSealedLink(`${LINK}${hash}${KEY.toLowerCase()}`)).toEqual({ link: LINK, identity: KEY })
})

/** Links whose key would go to the server. */
const MISPLACED = [
  ...['?', '?key=', '/', '/%23/', '', '&num;', '!'].map((between) => `${LINK}${between}${KEY}`),
  `${LINK}/${KEY}#top`,
  `${LINK}?${KEY}#${KEY}`,
  `${LINK}/${encodeURIComponent(KEY).replaceAll('-', '%2D').replace('A', '%41')}`,
  `https://other.example/go?u=${encodeURIComponent(encodeURIComponent(`${LINK}/${KEY}`))}`,
  `${LINK}?${PQ_KEY.toLowerCase()}`,
  `${LINK}/${KEY.slice(0, 40)}`,
]

test.each(MISPLACED)('a key that would go to the server is refused, and not shown: %s', (link) => {
  expect(() => splitSealedLink(link)).toThrow(/^There is a secret key in this link, but not behind a #/)
  expect(() => splitSealedLink(link)).not.toThrow(/-1[A-Z0-9]/i)
})

test('a file may have such a name', () => {
  const link = `${LINK}/my%20AGE-SECRET-KEY-file.txt`
  expect(splitSealedLink(link)).toEqual({ link, identity: undefined })
})

test.each(['', '#', '#top', '#:~:text=hello', '#%', '#A', '#the-key'])('%j is no key', (fragment) => {
  expect(splitSealedLink(`${LINK}${fragment}`)).toEqual({ link: LINK, identity: undefined })
})

/** Every key that lost its end or its beginning, but for so little that nothing tells that it was one. */
const CUT = [...KEY].flatMap((_, at) => [KEY.slice(0, Math.max(3, at)), KEY.slice(Math.min(at + 1, 4))])

describe('a key that is not whole is refused, and not shown', () => {
  test.each([
    ['cut', CUT],
    [
      'mistyped',
      [...KEY]
        .map((was, at) => `${KEY.slice(0, at)}${was === 'Q' ? 'P' : 'Q'}${KEY.slice(at + 1)}`)
        .slice(16),
    ],
    [
      'with two characters swapped',
      [`${KEY.slice(0, -2)}${KEY.at(-1)}${KEY.at(-2)}`].filter((key) => key !== KEY),
    ],
    ['twice', [`${KEY}${KEY}`, `${KEY}#${KEY}`]],
    ['with more behind it', [`${KEY}x`, `${KEY}?wait=5`, `${KEY}/report.pdf`]],
    ['with an ellipsis in it', [`${KEY.slice(0, 20)}…${KEY.slice(-4)}`]],
    ['that is a public one', ['age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p']],
  ])('%s', (_how, fragments) => {
    for (const fragment of fragments) {
      let error: unknown
      try {
        splitSealedLink(`${LINK}#${fragment}`)
      } catch (thrown) {
        error = thrown
      }
      expect(error, fragment).toBeInstanceOf(EssError)
      expect(error).toMatchObject({ code: 'usage' })
      expect(String((error as EssError).stack)).not.toMatch(/SECRET-KEY|[A-Z0-9]{9}/)
    }
  })
})

test('another fragment gives way to the key', () => {
  expect(sealedLink(`${LINK}#top`, KEY)).toBe(`${LINK}#${KEY}`)
})
