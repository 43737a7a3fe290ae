import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { downloadPath, joinUrl, resolveDownloadUrl } from '../../shared/index.js'

const ID = 'Ab3_-fGhIj4k'

describe('what a person hands to `ess get`', () => {
  test.each([
    [ID, 'http://127.0.0.1:9000', `http://127.0.0.1:9000/${ID}`],
    [ID, 'http://127.0.0.1:9000/', `http://127.0.0.1:9000/${ID}`],
    [ID, 'https://send.example.org/share', `https://send.example.org/share/${ID}`],
    [ID, 'https://send.example.org/share//', `https://send.example.org/share/${ID}`],
    [`http://other.example/${ID}/name.txt`, 'http://unused', `http://other.example/${ID}/name.txt`],
    [`HTTPS://other.example/${ID}`, 'http://unused', `https://other.example/${ID}`],
    [`http://[::1]:9000/${ID}`, 'http://unused', `http://[::1]:9000/${ID}`],
    [`http://other.example/${ID}/na me`, 'http://unused', `http://other.example/${ID}/na%20me`],
    [`http://other.example/${ID}?wait=5`, 'http://unused', `http://other.example/${ID}?wait=5`],
  ])('%j with the server %j is %j', (idOrUrl, server, url) => {
    expect(resolveDownloadUrl(idOrUrl, server).href).toBe(url)
  })

  test.each([
    '',
    'short',
    `${ID}x`,
    `-${ID.slice(1)}`,
    `/${ID}`,
    `${ID}/name.txt`,
    `other.example/${ID}`,
    `ftp://other.example/${ID}`,
    'file:///etc/passwd',
    'javascript:alert(1)',
    'http://',
    'http://[bad',
  ])('%j is neither an id nor a URL', (idOrUrl) => {
    expect(() => resolveDownloadUrl(idOrUrl, 'http://127.0.0.1:9000')).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: `${JSON.stringify(idOrUrl)} is neither an id of 12 characters nor an http(s) URL. Take the link that the sender got.`,
      }),
    )
  })

  test('that is far too long is cut in the message', () => {
    expect(() => resolveDownloadUrl('x'.repeat(10_000), 'http://127.0.0.1:9000')).toThrow(
      `"${'x'.repeat(200)}" is neither`,
    )
  })
})

describe('the path of a download', () => {
  test('is the id, and the name where there is one', () => {
    expect(downloadPath(ID)).toBe(`/${ID}`)
    expect(downloadPath(ID, 'a b?#/%é.txt')).toBe(`/${ID}/a%20b%3F%23%2F%25%C3%A9.txt`)
    expect(downloadPath(ID, "it's (1)*!~.pdf")).toBe(`/${ID}/it%27s%20%281%29%2A%21~.pdf`)
  })

  test('carries any name through a URL', () => {
    // "." and ".." are steps in a path, and no safe name begins with a dot.
    const name = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.startsWith('.'))
    fc.assert(
      fc.property(name, (text) => {
        const { pathname, search, hash } = new URL(downloadPath(ID, text), 'http://localhost')
        expect([search, hash]).toEqual(['', ''])
        // One word for every shell, without quotes.
        expect(pathname).toMatch(/^[\w./~%-]+$/)
        expect(pathname.split('/').map(decodeURIComponent)).toEqual(['', ID, text])
      }),
    )
  })
})

test.each([
  ['http://h', '/x', 'http://h/x'],
  ['http://h/', '/x', 'http://h/x'],
  ['http://h/base', '/', 'http://h/base/'],
  ['http://h/base///', '/x/y', 'http://h/base/x/y'],
])('%j and %j join to %j', (base, path, url) => {
  expect(joinUrl(base, path)).toBe(url)
})
