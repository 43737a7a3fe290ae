import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { BROWSER } from '../helpers/visitors.js'
import { openSender, serve } from '../server/serve.js'

interface Manifest {
  readonly entries: Readonly<Record<string, { readonly file: string; readonly needs: readonly string[] }>>
  readonly files: Readonly<Record<string, { readonly gzip: number }>>
}

/** What `npm run build` has made of web/. */
async function readManifest(): Promise<Manifest> {
  const file = fileURLToPath(new URL('../../dist/web/manifest.json', import.meta.url))
  return JSON.parse(await readFile(file, 'utf8')) as Manifest
}

/** Bytes as gzip carries them. They are the limits of the design, with nothing to spare for later. */
const ALL_BYTES = 120_000
const FIRST_SCREEN_BYTES = 20_000

test('all that the pages can load is small', async () => {
  const { files } = await readManifest()
  const sizes = Object.entries(files).filter(([name]) => name !== 'LICENSES.txt')
  const sum = sizes.reduce((bytes, [, { gzip }]) => bytes + gzip, 0)
  expect(sum, JSON.stringify(sizes)).toBeLessThan(ALL_BYTES)
})

describe('the first screen is smaller', () => {
  /** The page, its style, its script, and what that imports before it runs. */
  async function firstScreen(entry: 'send' | 'receive', html: string): Promise<Record<string, number>> {
    const { entries, files } = await readManifest()
    const names = [entry, 'style'].flatMap((name) => {
      const found = entries[name]
      return found === undefined ? [] : [found.file, ...found.needs]
    })
    const sizes = names.map((name): [string, number] => [name, files[name]?.gzip ?? Number.NaN])
    return Object.fromEntries([['the page', gzipSync(html).length], ...sizes])
  }

  function expectSmall(sizes: Readonly<Record<string, number>>): void {
    const sum = Object.values(sizes).reduce((bytes, size) => bytes + size, 0)
    expect(sum, JSON.stringify(sizes)).toBeLessThan(FIRST_SCREEN_BYTES)
  }

  test('for a sender', async () => {
    const { port } = await serve({ web: true })
    const { body } = await exchange(port, requestHead('GET /', BROWSER))
    expectSmall(await firstScreen('send', body))
  })

  test('for a receiver of something sealed', async () => {
    const { port } = await serve({ web: true, serveClient: true })
    const headers = { 'Ess-Sealed': 'A'.repeat(400) }
    const { id } = await openSender(port, { target: 'PUT /a', length: 5, headers })
    const { body } = await exchange(port, requestHead(`GET /${id}`, BROWSER))
    expectSmall(await firstScreen('receive', body))
  })
})
