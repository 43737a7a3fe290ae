import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { OptionRow } from '../server/broker/option-kinds.js'
import { namesOf } from '../server/broker/option-names.js'
import { OPTIONS } from '../server/broker/option-table.js'
import { code, fencedBlocks, readPage, tableOf } from './helpers/markdown.js'
import { run } from './helpers/run.js'
import { tempDir } from './helpers/temp-dir.js'

describe('docs/embedding.md', () => {
  test('its table has every option, with its type and its default', async () => {
    const { rows } = tableOf(await readPage('docs/embedding.md'), 'option')
    const source = await readPage('server/broker/service-options.ts')
    const [options = ''] = source.split('export interface ErrorAnswer')
    const types = new Map(
      [...options.matchAll(/^ {2}readonly (\w+)\?: (.*)$/gm)].map(([, name, type = '']) => [
        name,
        asShown(type),
      ]),
    )
    const names = namesOf('library', 'both')
    expect([...types.keys()].sort()).toEqual([...names].sort())
    expect(rows.map(([name = '', type = '', , fallback]) => [code(name), code(type), fallback])).toEqual(
      names.map((name) => {
        const { default: known, otherwise }: OptionRow = OPTIONS[name]
        return [name, types.get(name), known === undefined ? otherwise : `\`${known}\``]
      }),
    )
  })

  test('every number has its unit', async () => {
    const { rows } = tableOf(await readPage('docs/embedding.md'), 'option')
    for (const [name, type, unit] of rows)
      expect(/^(?:seconds|bytes|sockets|reservations|receivers|requests)$/.test(unit ?? ''), name).toBe(
        type === '`number`',
      )
  })

  test('its table has every event, with what a listener is given', async () => {
    const { rows } = tableOf(await readPage('docs/embedding.md'), 'event')
    const events = [...(await readPage('server/broker/events.ts')).matchAll(/^ {2}'([\w:-]+)': \[(.*)\]$/gm)]
    expect(events.length).toBeGreaterThan(8)
    expect(rows.map(([name = '', listener = '']) => [code(name), code(listener)])).toEqual(
      events.map(([, name = '', values = '']) => [name, `(${values.replace(/: [^,]+/g, '')})`]),
    )
  })

  test('every block does what it says', { timeout: 120_000 }, async () => {
    const blocks = fencedBlocks(await readPage('docs/embedding.md'))
    const scenes = Object.entries(SCENES)
    expect(blocks.map(({ text }) => scenes.filter(([first]) => text.startsWith(first)).length)).toEqual(
      blocks.map(() => 1),
    )
    expect(blocks).toHaveLength(scenes.length)
    const folder = await tempDir()
    await writeFile(join(folder, 'report.pdf'), 'hello')
    for (const { text, language, line } of blocks) {
      expect(language).toBe('js')
      const [first = '', scene] = scenes.find(([beginning]) => text.startsWith(beginning)) ?? []
      expect(scene, first).toBeDefined()
      const module = MODULE + (scene?.(text, join(folder, 'report.pdf')) ?? '')
      const args = ['--input-type=module', '-e', module]
      const program = await run(`the block in line ${line}`, process.execPath, args, { cwd: ROOT })
      const { code, stdout, stderr } = await program.ended()
      expect({ code, stderr }, `line ${line}`).toEqual({ code: 0, stderr: '' })
      expect(stdout.toString(), `line ${line}`).toMatch(/^it does what it says: .+\n$/)
    }
  })
})

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What a reader has around a block, and a transfer through what it makes. */
const MODULE = `
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer, request } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { serve as serveOnNode } from '@hono/node-server'
import { createService, listen } from 'ephemeral-socket-service'
import * as client from 'ephemeral-socket-service/client'
import express from 'express'
import { Hono } from 'hono'

async function transfer(base) {
  const sending = client.send(Readable.from(['hello']), { server: base })
  for await (const event of sending) {
    if (event.event !== 'opened') continue
    assert.ok(event.url.startsWith(base + '/'), event.url)
    void client.get(event.url).then(text).then((got) => assert.equal(got, 'hello'))
  }
  const { bytes, confirmed } = await sending.verdict
  assert.deepEqual({ bytes, confirmed }, { bytes: 5, confirmed: true })
}

async function listening(server) {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  return 'http://127.0.0.1:' + server.address().port
}

const done = (what) => {
  console.log('it does what it says: ' + what)
  process.exit(0)
}
`

/** How the block that begins like this is run, and what is seen to be true then. */
const SCENES: Readonly<Record<string, (block: string, file: string) => string>> = {
  'import { attach }': (block) => `
    const app = express()
    const added = []
    const metrics = { add: (...values) => added.push(values) }
    ${block}
    await transfer(await listening(createServer(app)) + '/share')
    assert.deepEqual(added, [['bytes', 5]])
    done('it is counted')`,
  'renderStatus:': (block) => `
    const { url } = await listen(createService({ ${block} }), { port: 0 })
    const lines = await new Promise((resolve) => {
      const sender = request(url + '/', { method: 'POST' }, (response) => {
        response.once('data', (line) => fetch(String(line).split('\\n')[0]).then((got) => got.text()))
        text(response).then(resolve)
      })
      sender.end()
    })
    assert.match(lines, /^# Der Empfänger ist da$/m)
    assert.match(lines, /^# Angekommen: 0 Bytes$/m)
    done('the words are ours')`,
  'authorize:': (block) => `
    const apiKey = 'k'
    const { url } = await listen(createService({ ${block} }), { port: 0 })
    const refused = await fetch(url + '/', { method: 'POST', body: 'hello' })
    assert.equal(refused.status, 401)
    assert.match(refused.headers.get('www-authenticate'), /^Basic .*, Bearer /)
    assert.equal((await fetch(url + '/?ttl=0', { method: 'POST', headers: { 'X-Api-Key': 'k' } })).status, 400)
    assert.equal((await fetch(url + '/abcdefghijkl')).status, 404)
    done('who has no key may receive alone')`,
  'onError:': (block) => `
    const { url } = await listen(createService({ ${block} }), { port: 0 })
    const answer = await fetch(url + '/abcdefghijkl')
    assert.deepEqual([answer.status, await answer.text(), answer.headers.get('x-ours')], [404, 'Nothing here.\\n', 'yes'])
    assert.equal((await fetch(url + '/?ttl=0', { method: 'POST' })).status, 400)
    done('the answer is ours')`,
  'app.route(': (block) => `
    const app = new Hono()
    const service = createService()
    let server
    const serve = (options) => { server = serveOnNode({ ...options, port: 0, hostname: '127.0.0.1' }) }
    ${block}
    await once(server, 'listening')
    await transfer(await listening(server) + '/share')
    done('it is mounted')`,
  'app.use(': (block) => `
    const app = express()
    const service = createService()
    ${block}
    app.post('/echo', (request, response) => response.json(request.body))
    const base = await listening(createServer(app))
    const headers = { 'Content-Type': 'application/json' }
    const echoed = await fetch(base + '/echo', { method: 'POST', headers, body: '{"a":1}' })
    assert.deepEqual(await echoed.json(), { a: 1 })
    await transfer(base + '/share')
    done('it stands before the parser')`,
  'const server = createServer(': (block) => `
    const service = createService()
    ${block}
    await transfer(await listening(server))
    done('it is served')`,
  'import { send }': (block, file) => `
    const { url } = await listen(createService(), { port: 0 })
    const seen = []
    const log = console.log
    console.log = (event) => {
      seen.push(event.event)
      if (event.event === 'opened') void client.get(event.url).then(text).then((got) => assert.equal(got, 'hello'))
    }
    ${block.replace("'https://send.example.org'", 'url').replace("'report.pdf'", JSON.stringify(file))}
    console.log = log
    assert.deepEqual([bytes, confirmed, seen[0], seen.at(-1)], [5, true, 'opened', 'delivered'])
    done('it is delivered')`,
  'import { createWriteStream }': (block, file) => `
    const server = await listen(createService(), { port: 0 })
    const sending = client.send(${JSON.stringify(file)}, { server: server.url, name: 'copy.pdf' })
    const { value: { url } } = await sending[Symbol.asyncIterator]().next()
    process.chdir(${JSON.stringify(dirname(file))})
    ${block}
    assert.equal((await sending.verdict).confirmed, true)
    assert.deepEqual([incoming.size, await text(createReadStream('copy.pdf'))], [5, 'hello'])
    done('it is received')`,
}

/** A type as the page has it: without `readonly` members and the types of parameters. */
function asShown(type: string): string {
  return type
    .replace(/readonly (?=\w+:)/g, '')
    .replaceAll('; ', ', ')
    .replace(/\(([^)]*)\) =>/, (_whole, parameters: string) => `(${parameters.replace(/: [^,]+/g, '')}) =>`)
}
