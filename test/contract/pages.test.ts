import { describe, expect, test } from 'vitest'
import { factsIn, loadedBy, OWN_SCRIPTS, policyOf } from '../helpers/pages.js'
import { BROWSER } from '../helpers/visitors.js'
import { HOSTS } from './hosts.js'
import { peersOf } from './peers-of.js'

/** What every page allows at most: itself, and nothing of anyone else. */
const OWN_ALONE = {
  'default-src': "'none'",
  'form-action': "'self'",
  'frame-ancestors': "'none'",
  'base-uri': "'none'",
}

describe.each(HOSTS)('$name', ({ name, path, scheme, hasApp, start }) => {
  const { ask, open, reserve } = peersOf(path)

  /** The page of a place below the mount, with what it loads, as a browser resolves it. */
  async function openPage(port: number, place: string) {
    const page = await ask(port, `GET ${place}`, BROWSER)
    const parts = loadedBy(page.body).map((address) => {
      const { origin, pathname } = new URL(address, `${scheme}://localhost${path}${place}`)
      expect(origin).toBe(`${scheme}://localhost`)
      return pathname
    })
    const loaded = await Promise.all(
      parts.map(async (part) => {
        const { status, headers } = await ask(port, `GET ${part.slice(path.length)}`)
        return [status, headers['content-type'], headers['cache-control']]
      }),
    )
    return { ...page, loaded, policy: policyOf(page.headers['content-security-policy']) }
  }

  const SCRIPT = [200, 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable']
  const STYLE = [200, 'text/css; charset=utf-8', 'public, max-age=31536000, immutable']

  test.each(path === '' ? ['/'] : ['/', ''])(
    'a browser gets a page that sends at "%s", and programs get the text',
    async (place) => {
      const { port } = await start()
      const page = await openPage(port, place)
      expect(page.status).toBe(200)
      expect(page.headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
      })
      expect(page.loaded).toEqual(expect.arrayContaining([SCRIPT, STYLE]))
      expect(page.loaded.every(([status]) => status === 200)).toBe(true)
      expect(page.policy).toMatchObject({
        ...OWN_ALONE,
        'script-src': expect.stringMatching(OWN_SCRIPTS),
        'style-src': "'self'",
        'connect-src': "'self'",
        'require-trusted-types-for': "'script'",
        'trusted-types': "'none'",
      })
      const root = new URL(factsIn(page.body).root, `${scheme}://localhost${path}${place}`)
      expect(root.pathname).toBe(`${path}/`)

      for (const headers of [{}, { Accept: '*/*', 'User-Agent': 'curl/8.5.0' }, { Accept: 'text/html' }]) {
        const text = await ask(port, `GET ${place}`, headers)
        expect(text.headers['content-type']).toBe('text/plain; charset=utf-8')
        expect(text.body).toContain(`curl -NT file.iso ${scheme}://localhost${path}/\n`)
      }
    },
  )

  // An app of Hono's own leaves an address with a final slash to its other routes.
  test.each(['', '/notes.txt', ...(name.startsWith('Hono') ? [] : ['/'])])(
    'the page of a link has its script at /ID%s',
    async (rest) => {
      const { port } = await start()
      const sender = await open(port, { length: 5 })
      const place = `/${sender.id}${rest}`
      const page = await openPage(port, place)
      // So that no program takes the page for the file.
      expect(page.status).toBe(406)
      expect(page.loaded).toEqual(expect.arrayContaining([SCRIPT, STYLE]))
      expect(page.loaded.every(([status]) => status === 200)).toBe(true)
      expect(page.policy).toMatchObject(OWN_ALONE)
      const { root, link } = factsIn(page.body)
      expect(new URL(root, `${scheme}://localhost${path}${place}`).pathname).toBe(`${path}/`)
      expect(link).toMatchObject({ id: sender.id, name: 'notes.txt', size: 5, isReady: true, isNoted: true })
    },
  )

  test('a refusal is a page without a script, which loads nothing', async () => {
    const { port } = await start()
    const { id } = await reserve(port)
    await ask(port, `DELETE /${id}`)
    for (const place of ['/abcdefghijkl', '/abcdefghijkl/notes.txt', ...(hasApp ? [] : ['/a/b/c'])]) {
      const page = await openPage(port, place)
      expect(page.status, place).toBe(404)
      expect(page.loaded, place).toEqual([])
      expect(page.policy, place).toEqual({
        ...OWN_ALONE,
        'style-src': expect.stringMatching(/^'sha256-[\w+/]{43}='$/),
        'img-src': 'data:',
      })
      expect(page.body, place).not.toMatch(/<script|\bon\w+=|\bstyle=/)
    }
  })
})
