import { access, copyFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as esbuild from 'esbuild'
import { expect, test } from 'vitest'
import { run } from './helpers/run.js'
import { tempDir } from './helpers/temp-dir.js'

/** One file of text, of which `bundle` makes another that needs no package beside it. */
type Bundle = (source: string, target: string) => Promise<void>

const byEsbuild =
  (format: 'esm' | 'cjs', banner: string): Bundle =>
  async (source, target) => {
    await esbuild.build({
      entryPoints: [source],
      outfile: target,
      bundle: true,
      platform: 'node',
      format,
      banner: { js: banner },
      nodePaths: [NODE_MODULES],
      // That CommonJS has no import.meta is a warning, and the case that is tried here.
      logLevel: 'silent',
    })
  }

const byRollup =
  (format: 'es' | 'cjs'): Bundle =>
  async (source, target) => {
    // Its plugins' types don't fit ES modules, so they are named on the command line.
    const plugins = ["node-resolve={preferBuiltins: true, exportConditions: ['node']}", 'commonjs', 'json']
    const args = [source, '--file', target, '--format', format, '--inlineDynamicImports', '--silent']
    const program = await run('rollup', process.execPath, [
      join(NODE_MODULES, 'rollup', 'dist', 'bin', 'rollup'),
      ...args,
      ...plugins.flatMap((plugin) => ['--plugin', plugin]),
    ])
    // It reads some hundred modules, alone or beside others.
    expect(await program.ended(60_000)).toMatchObject({ code: 0, stderr: '' })
  }

/** What esbuild's own documentation puts before ES modules that have CommonJS packages in them. */
const REQUIRE = `import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url)`

const BUNDLERS: readonly (readonly [name: string, file: string, bundle: Bundle])[] = [
  ['esbuild, CommonJS', 'bundle.cjs', byEsbuild('cjs', '')],
  ['esbuild, ES modules', 'bundle.mjs', byEsbuild('esm', REQUIRE)],
  ['rollup, CommonJS', 'bundle.cjs', byRollup('cjs')],
  ['rollup, ES modules', 'bundle.mjs', byRollup('es')],
]

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NODE_MODULES = join(ROOT, 'node_modules')

/** 2 MiB, so that splice would take them, where it works. */
const PROGRAM = `
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { createService, listen } from '${ROOT}dist/server/index.js'
import { get, send } from '${ROOT}dist/client/index.js'

async function main() {
  const service = createService({ serveClient: true, web: true })
  const server = await listen(service, { port: 0 })
  const gears = []
  service.on('socket:end', (_socket, { gear }) => gears.push(gear))
  const sending = send(Readable.from([Buffer.alloc(2 ** 21, 'x')]), { server: server.url })
  let received = 0
  for await (const event of sending)
    if (event.event === 'opened')
      void get(event.url).then(async (download) => {
        for await (const chunk of download) received += chunk.length
      })
  const { bytes, confirmed } = await sending.verdict
  const { relay: best } = await (await fetch(server.url + '/health')).json()
  const { status: client } = await fetch(server.url + '/ess.tgz')
  // As an old browser asks, because Node's fetch says that it shows no page.
  const asBrowser = { 'User-Agent': 'Mozilla/5.0', Accept: 'text/html', 'Accept-Language': 'en' }
  const page = await new Promise((resolve) => request(server.url, { headers: asBrowser }, resolve).end())
  page.resume()
  const type = page.headers['content-type']
  console.log(JSON.stringify({ bytes, received, confirmed, best, ended: gears.length, client, type }))
  await server.stopNow()
}
void main()
`

test.each(BUNDLERS)(
  '%s: the library transfers a file, with its packages or without',
  async (_name, file, bundle) => {
    const far = await tempDir()
    await writeFile(join(far, 'source.mjs'), PROGRAM)
    await bundle(join(far, 'source.mjs'), join(far, file))
    expect(await endingOf(join(far, file))).toEqual(WHOLE)

    // Koffi can be loaded here, and the thread's file would be the program's own.
    const near = await tempDir()
    await symlink(NODE_MODULES, join(near, 'node_modules'))
    await copyFile(join(far, file), join(near, file))
    await writeFile(join(near, 'worker.js'), `require('node:fs').writeFileSync(__dirname + '/ran', '')\n`)
    expect(await endingOf(join(near, file))).toEqual(WHOLE)
    await expect(access(join(near, 'ran'))).rejects.toThrow('ENOENT')
  },
)

/** Beside a bundle is neither the client's package nor a page: both would be another program's. */
const WHOLE = {
  bytes: 2 ** 21,
  received: 2 ** 21,
  confirmed: true,
  best: 'sockets',
  ended: 1,
  client: 404,
  type: 'text/plain; charset=utf-8',
}

async function endingOf(file: string): Promise<unknown> {
  const program = await run('the bundle', process.execPath, [file])
  const { code, stdout, stderr } = await program.ended()
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout.toString())
}
