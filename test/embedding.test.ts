import { access } from 'node:fs/promises'
import { Script } from 'node:vm'
import { describe, expect, test } from 'vitest'
import * as client from '../client/index.js'
import * as server from '../server/index.js'
import { DEFAULTS } from '../server/options.js'
import { code, fencedBlocks, readPage, tableOf } from './helpers/markdown.js'

const PAGES = ['docs/embedding.md', 'docs/deploying.md']

test.each(PAGES)('%s links to pages that are there', async (path) => {
  const links = [...(await readPage(path)).matchAll(/\]\((?!https?:)([^)#\s]+)[^)]*\)/g)]
  expect(links).not.toHaveLength(0)
  for (const [, link = ''] of links)
    await expect(access(new URL(link, new URL(`../${path}`, import.meta.url))), link).resolves.toBeUndefined()
})

describe('docs/embedding.md', () => {
  test('its table has every option, with its type and its default', async () => {
    const { rows } = tableOf(await readPage('docs/embedding.md'), 'option')
    const source = (await readPage('server/options.ts')).split('export interface ErrorAnswer')[0] ?? ''
    const options = [...source.matchAll(/^ {2}readonly (\w+)\?: (.*)$/gm)]
    expect(options.length).toBeGreaterThan(10)
    expect(rows.map(([name = '', type = '']) => [code(name), code(type)])).toEqual(
      options.map(([, name = '', type = '']) => [name, asShown(type)]),
    )
    const defaults: Readonly<Record<string, unknown>> = { ...DEFAULTS, requiredReferer: null }
    for (const [name = '', , , fallback = ''] of rows) {
      const known = defaults[code(name)]
      if (known === undefined) expect(fallback, name).not.toMatch(/^`/)
      else expect(fallback, name).toBe(`\`${known}\``)
    }
    const shown = rows.map(([name = '']) => code(name))
    expect(shown).toEqual(expect.arrayContaining(Object.keys(DEFAULTS)))
  })

  test('every number has its unit', async () => {
    const { rows } = tableOf(await readPage('docs/embedding.md'), 'option')
    for (const [name, type, unit] of rows)
      expect(/^(?:seconds|bytes|sockets)$/.test(unit ?? ''), name).toBe(type === '`number`')
  })

  test('its table has every event, with what a listener is given', async () => {
    const { rows } = tableOf(await readPage('docs/embedding.md'), 'event')
    const events = [...(await readPage('server/events.ts')).matchAll(/^ {2}'([\w:-]+)': \[(.*)\]$/gm)]
    expect(events.length).toBeGreaterThan(8)
    expect(rows.map(([name = '', listener = '']) => [code(name), code(listener)])).toEqual(
      events.map(([, name = '', values = '']) => [name, `(${values.replace(/: [^,]+/g, '')})`]),
    )
  })

  test('what its blocks import is there, and they are JavaScript', async () => {
    const blocks = fencedBlocks(await readPage('docs/embedding.md'))
    expect(blocks.length).toBeGreaterThan(5)
    const doors: Readonly<Record<string, object>> = {
      'ephemeral-socket-service': server,
      'ephemeral-socket-service/client': client,
    }
    const importing = /^import \{ (.*) \} from '(.*)'$/gm
    for (const { text, language, line } of blocks) {
      expect(language).toBe('js')
      for (const [, names = '', from = ''] of text.matchAll(importing))
        for (const name of names.split(', '))
          expect(Object.keys(doors[from] ?? {}), `line ${line}`).toContain(name)
      const body = text.replaceAll(importing, '')
      const isMember = /^\w+: /.test(body)
      const script = isMember ? `({ ${body} })` : `async () => { ${body} }`
      expect(() => new Script(script), `line ${line}`).not.toThrow()
    }
  })
})

/** A type as the page has it: without `readonly` members and the types of parameters. */
function asShown(type: string): string {
  return type
    .replace(/readonly (?=\w+:)/g, '')
    .replaceAll('; ', ', ')
    .replace(/\(([^)]*)\) =>/, (_whole, parameters: string) => `(${parameters.replace(/: [^,]+/g, '')}) =>`)
}
