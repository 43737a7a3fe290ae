import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { unpackTar } from 'modern-tar'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createService, type ServiceOptions } from '../../server/index.js'
import { ROUTES } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { needs } from '../helpers/needs.js'
import { run } from '../helpers/run.js'
import { runEss } from '../helpers/run-ess.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'

const PATHS = [ROUTES.clientPackage, ROUTES.clientPackageOfVersion]

/** The files of a package, by name. */
async function unpacked(response: Response): Promise<Map<string, string>> {
  const tar = gunzipSync(await response.arrayBuffer())
  const files = await unpackTar(tar)
  return new Map(files.map(({ header, data }) => [header.name, Buffer.from(data ?? []).toString()]))
}

/** Without those about the moment and the connection. */
function fieldsOf({ headers }: Response): [name: string, value: string][] {
  return [...headers].filter(([name]) => !/^(?:date|connection|keep-alive)$/.test(name))
}

async function serverIn(url: string): Promise<unknown> {
  const files = await unpacked(await fetch(url))
  return JSON.parse(files.get('package/server.json') ?? 'null')
}

describe('ess-server', () => {
  test.each(PATHS)('serves the client at %s, with its own address in it', async (path) => {
    const { url } = await startServerHere()
    const response = await fetch(url + path)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/gzip',
      'cache-control': 'no-cache, no-transform',
      'access-control-allow-origin': '*',
      etag: expect.stringMatching(/^"[\w-]{43}"$/),
    })
    const files = await unpacked(response)
    expect([...files.keys()].filter((name) => !name.startsWith('package/parts/'))).toEqual(
      ['server.json', 'package.json', 'ess.cjs', 'LICENSE', 'LICENSES'].map((name) => `package/${name}`),
    )
    expect(JSON.parse(files.get('package/server.json') ?? '')).toEqual({ server: url })
    expect(JSON.parse(files.get('package/package.json') ?? '')).toMatchObject({
      version: VERSION,
      bin: { ess: 'ess.cjs' },
    })
  })

  test('answers HEAD with the same fields, and a client that has it already with 304', async () => {
    const { url } = await startServerHere()
    const got = await fetch(url + ROUTES.clientPackage)
    const bytes = Buffer.from(await got.arrayBuffer())
    const etag = got.headers.get('etag') ?? ''
    expect(etag).toBe(`"${createHash('sha256').update(bytes).digest('base64url')}"`)
    expect(got.headers.get('content-length')).toBe(String(bytes.length))

    const head = await fetch(url + ROUTES.clientPackage, { method: 'HEAD' })
    expect(fieldsOf(head)).toEqual(fieldsOf(got))
    expect((await head.arrayBuffer()).byteLength).toBe(0)

    const again = await fetch(url + ROUTES.clientPackage, { headers: { 'If-None-Match': `"x", ${etag}` } })
    expect({ status: again.status, etag: again.headers.get('etag') }).toEqual({ status: 304, etag })
    const other = await fetch(url + ROUTES.clientPackage, { headers: { 'If-None-Match': '"x"' } })
    expect(other.status).toBe(200)
    await other.body?.cancel()
  })

  test('asks for no token, because the client holds no secret', async () => {
    const tokens = join(await tempDir(), 'tokens')
    await writeFile(tokens, 'a-token-that-is-long-enough\n')
    const { url } = await startServerHere('--send-tokens', tokens, '--receive-tokens', tokens)
    expect((await fetch(url + ROUTES.clientPackage, { method: 'HEAD' })).status).toBe(200)
    expect((await fetch(`${url}/x`, { method: 'PUT', body: 'x' })).status).toBe(401)
  })

  test('names the address of --base-url, with its path', async () => {
    const { url } = await startServerHere('--base-url', 'https://send.example.org/share/')
    expect(await serverIn(url + ROUTES.clientPackage)).toEqual({ server: 'https://send.example.org/share' })
    const usage = await (await fetch(url)).text()
    expect(usage).toContain(`\n    npx https://send.example.org/share/ess-${VERSION}.tgz send file.iso\n`)
    expect(usage).toContain('\n    npm i -g https://send.example.org/share/ess.tgz\n')
  })

  test('leaves the address out where it is too long for its place', async () => {
    const { url } = await startServerHere('--base-url', `https://send.example.org/${'a'.repeat(600)}`)
    const files = await unpacked(await fetch(url + ROUTES.clientPackage))
    expect([...files.keys()]).not.toContain('package/server.json')
    expect([...files.keys()]).toContain('package/ess.cjs')
  })

  test('shows it on the page of a link', async (context) => {
    needs(context, 'curl')
    const { url } = await startServerHere()
    const sender = await run('curl', 'curl', ['-sSNT', '-', `${url}/a`], { stdin: 'mine' })
    const [link] = await sender.untilStdout(/^http\S+\n/)
    const asBrowser = ['-H', 'Accept: text/html', '-H', 'Sec-Fetch-Mode: navigate', '-A', 'Mozilla/5.0']
    const page = await (await run('curl', 'curl', ['-sS', ...asBrowser, link.trim()])).ended()
    expect(page.stdout.toString()).toContain(`<pre>npx ${url}/ess-${VERSION}.tgz get ${link.trim()}</pre>`)
  })

  test.for(PATHS)('takes a PUT of %s for an upload', async (path, context) => {
    needs(context, 'curl')
    const { url } = await startServerHere()
    const sender = await run('curl', 'curl', ['-sSNT', '-', url + path], { stdin: 'mine' })
    const [link] = await sender.untilStdout(/^http\S+\n/)
    expect(link.trim().endsWith(path)).toBe(true)
    expect(await (await fetch(link.trim())).text()).toBe('mine')
    await sender.ended()
  })

  test('serves none with --serve-client=false, and tells of none', async () => {
    const { url } = await startServerHere('--serve-client=false')
    for (const path of PATHS) expect((await fetch(url + path)).status, path).toBe(404)
    expect(await (await fetch(url)).text()).not.toMatch(/npx|npm/)
  })
})

describe('in another program', () => {
  async function embed(options: ServiceOptions): Promise<string> {
    const { handler } = createService(options)
    const server = createServer((request, response) => {
      const { url = '/' } = request
      if (!url.startsWith('/share')) return void response.writeHead(404).end()
      Object.assign(request, { originalUrl: url, url: url.slice('/share'.length) || '/' })
      handler(request, response, () => response.writeHead(418).end())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    // Listening on a port, so there is an address.
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/share`
  }

  test('the address is the host’s own', async () => {
    const url = await embed({})
    for (const path of PATHS) expect((await fetch(url + path)).status, path).toBe(418)
    expect(await (await fetch(url)).text()).not.toMatch(/npx|npm/)
  })

  test('with serveClient it is served under the mount', async () => {
    const url = await embed({ serveClient: true })
    for (const path of PATHS) expect(await serverIn(url + path)).toEqual({ server: url })
    expect(await (await fetch(url)).text()).toContain(`npx ${url}${ROUTES.clientPackageOfVersion} send`)
  })
})

test('the command goes to the server that its client came from, unless another is named', async () => {
  const { url } = await startServerHere()
  const folder = await tempDir()
  const files = await unpacked(await fetch(url + ROUTES.clientPackage))
  await mkdir(join(folder, 'parts'))
  for (const [name, text] of files) await writeFile(join(folder, name.replace('package/', '')), text)
  const start = (args: readonly string[], env = {}) =>
    run('ess', process.execPath, [join(folder, 'ess.cjs'), ...args], { stdin: 'hello', env })

  const sender = await start(['send'])
  const [link] = await sender.untilStdout(/^http\S+\n/)
  expect(link.startsWith(`${url}/`)).toBe(true)
  const receiver = await runEss(undefined, ['get', link.trim(), '-o', '-'])
  expect((await receiver.ended()).stdout.toString()).toBe('hello')
  expect((await sender.ended()).code).toBe(0)
  expect((await (await start(['send', '--help'])).ended()).stdout.toString()).toContain(`[default: ${url}]`)

  const nowhere = 'http://127.0.0.1:1'
  for (const elsewhere of [start(['send', '--server', nowhere]), start(['send'], { ESS_SERVER: nowhere })])
    expect((await (await elsewhere).ended()).code).toBe(6)
})
