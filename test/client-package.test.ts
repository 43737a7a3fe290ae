import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { unpackTar } from 'modern-tar'
import { describe, expect, test } from 'vitest'
import { run } from './helpers/run.js'
import { ESS } from './helpers/run-ess.js'
import { startServer } from './helpers/start-server.js'
import { tempDir } from './helpers/temp-dir.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(ROOT, 'dist')

test('the same build gives the same bytes, and what lies in dist is of this build', async () => {
  const [one, other] = [await built(), await built()]
  const parts = (await readdir(join(one, 'ess', 'parts'))).map((name) => `ess/parts/${name}`)
  expect((await readdir(join(DIST, 'ess', 'parts'))).map((name) => `ess/parts/${name}`)).toEqual(parts)
  for (const name of ['ess.tgz', 'ess/ess.cjs', ...parts, 'ess/LICENSES', 'ess/server.json.header']) {
    const bytes = await readFile(join(one, name))
    expect(bytes.equals(await readFile(join(other, name))), name).toBe(true)
    // Another Node may compress in another way.
    const contentOf = (file: Buffer) => (name.endsWith('.tgz') ? gunzipSync(file) : file)
    const inDist = contentOf(await readFile(join(DIST, name)))
    expect(contentOf(bytes).equals(inDist), `dist/${name} is old: npm run build`).toBe(true)
  }
})

/** The package, built into a folder of its own from what tsc has made. */
async function built(): Promise<string> {
  const folder = await tempDir()
  const script = join(ROOT, 'scripts', 'client-package.mjs')
  const { code, stderr } = await (await run('client-package', process.execPath, [script, folder])).ended()
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return folder
}

describe('the package of the client', async () => {
  const files = await unpackTar(gunzipSync(await readFile(join(DIST, 'ess.tgz'))))
  const parts = files.map(({ header }) => header.name).filter((name) => name.startsWith('package/parts/'))
  const textOf = (name: string) =>
    Buffer.from(files.find(({ header }) => header.name === `package/${name}`)?.data ?? []).toString()

  test('is what the whole package needs of a client, and depends on nothing', async () => {
    const own = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
    const { version, engines, license } = own
    const theirs = JSON.parse(textOf('package.json'))
    expect(theirs).toMatchObject({ version, engines, license, private: true, bin: { ess: 'ess.cjs' } })
    expect(Object.keys(theirs).filter((key) => /dependencies|scripts/i.test(key))).toEqual([])
    expect(own.bin.ess).toBe('dist/ess/ess.cjs')
    expect(textOf('ess.cjs')).toBe(await readFile(ESS, 'utf8'))
    for (const part of parts.map((name) => name.slice('package/'.length)))
      expect(textOf(part)).toBe(await readFile(join(dirname(ESS), part), 'utf8'))
    expect(own.files).toEqual(expect.arrayContaining(['dist/ess/ess.cjs', 'dist/ess/parts']))
    expect(textOf('LICENSE')).toBe(await readFile(join(ROOT, 'LICENSE'), 'utf8'))
  })

  test('has files that npm and a shell can use: the program may be run, and nothing has an owner or a time', () => {
    expect(files.map(({ header: { name, mode, uid, gid } }) => [name, mode, uid, gid])).toEqual([
      ['package/package.json', 0o644, 0, 0],
      ['package/ess.cjs', 0o755, 0, 0],
      ...parts.map((name) => [name, 0o644, 0, 0]),
      ['package/LICENSE', 0o644, 0, 0],
      ['package/LICENSES', 0o644, 0, 0],
    ])
    expect(new Set(files.map(({ header }) => header.mtime?.toISOString()))).toEqual(
      new Set(['1985-10-26T08:15:00.000Z']),
    )
  })

  test('has the license of every package whose code is in the program', async () => {
    // esbuild names the file that each part of the program came from.
    const code = ['ess.cjs', ...parts.map((name) => name.slice('package/'.length))].map(textOf).join('\n')
    const sources = code.matchAll(/^ *(?:\/\/ |")((?:.*\/)?node_modules\/(?:@[^/\n]+\/)?[^/\n]+)\//gm)
    const inside = [...new Set([...sources].map(([, folder = '']) => folder))]
    for (const name of ['got', 'age-encryption', 'tar', 'ignore', 'uqr'])
      expect(inside).toContain(`node_modules/${name}`)
    const sections = textOf('LICENSES')
      .split(`\n${'-'.repeat(80)}\n\n`)
      .slice(1)
    expect(sections).toHaveLength(inside.length)
    for (const folder of inside) {
      const { name, version } = JSON.parse(await readFile(join(ROOT, folder, 'package.json'), 'utf8'))
      const license = (await readdir(join(ROOT, folder))).find((file) => /^licen[cs]e(?:[.-]|$)/i.test(file))
      const text = await readFile(join(ROOT, folder, license ?? ''), 'utf8')
      expect(
        sections.find((section) => section.startsWith(`${name} ${version} (`)),
        folder,
      ).toContain(text.trim())
    }
  })

  test.each([
    ['--version'],
    ['--help'],
    ['send', '--help'],
    ['get', '--help'],
    ['sned'],
    ['send', '--nmae', 'x'],
    ['send', 'a', 'b'],
  ])('says what the client says that is in many files: %s', async (...args) => {
    const [inOne, inMany] = await Promise.all(
      [ESS, join(DIST, 'client', 'main.js')].map(async (file) =>
        (await run('ess', process.execPath, [file, ...args])).ended(),
      ),
    )
    expect(inOne).toEqual(inMany)
  })
})

describe('loads only what it needs', () => {
  /** got and what it loads; and how a near name is found, in words about mistakes. */
  const FOR_A_REQUEST = [
    ...['@keyv/serialize', '@sec-ant/readable-stream', '@sindresorhus/is', 'byte-counter'],
    ...[
      'cacheable-lookup',
      'cacheable-request',
      'decompress-response',
      'form-data-encoder',
      'get-stream',
      'got',
    ],
    ...[
      'http-cache-semantics',
      'http2-wrapper',
      'is-stream',
      'keyv',
      'leven',
      'lowercase-keys',
      'mimic-response',
    ],
    ...['normalize-url', 'p-cancelable', 'quick-lru', 'resolve-alpn', 'responselike'],
  ]

  test('for a sealed transfer: the library of age, from a part of its own', async () => {
    const server = await startServer()
    const { packages, parts } = await loadedBy(['send', '-e', '-', '--server', server.url], 'SIGTERM')
    expect(packages).toContain('age-encryption')
    expect(parts.map((url) => url.replace(/^.*\/|-[A-Z\d]{8}\.cjs$/g, ''))).toEqual(
      expect.arrayContaining(['age', 'sealed-source']),
    )
  })

  test('until there is a link: what makes the request, and nothing that draws, receives, packs or seals', async () => {
    const server = await startServer()
    const { packages, own, parts } = await loadedBy(['send', '-', '--server', server.url], 'SIGTERM')
    expect(packages).toEqual(FOR_A_REQUEST)
    expect(
      own.filter((file) =>
        /\/(?:terminal-screen|cli-get|get|download|offer|age|walk|qr-code)\.js$/.test(file),
      ),
    ).toEqual([])
    expect(own).toContain('client/send/early-upload.js')
    // Each would be a file more to read.
    expect(parts).toEqual([])
  })

  test('for the version: nothing of a transfer', async () => {
    const { packages, own, parts } = await loadedBy(['--version'])
    expect(parts).toEqual([])
    // The nearest name of a mistyped option.
    expect(packages).toEqual(['leven'])
    expect(own.filter((file) => /^client\/(?:http|send)\//.test(file))).toEqual([
      'client/http/default-server.js',
      'client/http/nearest-name.js',
    ])
  })
})

/** Runs `ess` until it ends; with a signal, that is sent when there is output. What V8 has run says what was loaded. */
async function loadedBy(args: readonly string[], signal?: NodeJS.Signals) {
  const folder = await tempDir()
  const program = await run('ess', process.execPath, [ESS, ...args], {
    stdin: 'open',
    env: { NODE_V8_COVERAGE: folder },
  })
  await program.untilStdout(/\n/)
  if (signal !== undefined) program.kill(signal)
  await program.ended()
  const modules = new Set<string>()
  const parts = new Set<string>()
  for (const file of await readdir(folder)) {
    const { result }: Coverage = JSON.parse(await readFile(join(folder, file), 'utf8'))
    for (const { url, functions } of result) {
      if (!url.includes('/dist/ess/')) continue
      if (url.includes('/parts/')) parts.add(url)
      const source = await readFile(fileURLToPath(url), 'utf8')
      for (const name of modulesIn(source, functions)) modules.add(name)
    }
  }
  const packages = [...modules].flatMap(
    (name) => /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(name)?.[1] ?? [],
  )
  const own = [...modules].flatMap((name) => /^dist\/(.*)/.exec(name)?.[1] ?? [])
  return { packages: [...new Set(packages)].sort(), own: own.sort(), parts: [...parts] }
}

/**
 * The modules of a file that were run. A piece is a function, in which a comment names the file of each module. A package in
 * CommonJS has a function of its own, which has the name of its file.
 */
function modulesIn(source: string, functions: Coverage['result'][number]['functions']): string[] {
  return functions.flatMap(({ functionName, ranges: [range] }) => {
    if (range === undefined || range.count === 0) return []
    if (/^(?:node_modules|dist)\//.test(functionName)) return [functionName]
    const text = source.slice(range.startOffset, range.endOffset)
    if (!/^(?:"[\w-]+")?\(module, exports, part\)/.test(text)) return []
    const named = text.matchAll(/^\/\/ ((?:node_modules|dist)\/.+)\n(?!var require_\w+ = __commonJS)/gm)
    return [...named].map(([, name = '']) => name)
  })
}

interface Coverage {
  readonly result: readonly {
    readonly url: string
    readonly functions: readonly {
      readonly functionName: string
      readonly ranges: readonly {
        readonly startOffset: number
        readonly endOffset: number
        readonly count: number
      }[]
    }[]
  }[]
}
