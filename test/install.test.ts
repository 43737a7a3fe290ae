import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import { packTar, unpackTar } from 'modern-tar'
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { ROUTES } from '../shared/index.js'
import { VERSION } from '../shared/version.js'
import { exchange, requestHead } from './helpers/http-exchange.js'
import { readPage } from './helpers/markdown.js'
import { needs } from './helpers/needs.js'
import { loadedBy } from './helpers/pages.js'
import { type Program, run } from './helpers/run.js'
import { startServer } from './helpers/start-server.js'
import { tempDir } from './helpers/temp-dir.js'
import { BROWSER } from './helpers/visitors.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** npm gets its packages from a registry, and builds: that takes as long as the network. */
const INSTALL_MS = 240_000

beforeEach((context) => needs(context, 'npm', 'git'))

/** Empty at first. The tests share it, so that each package comes from the registry once. */
const cache = await mkdtemp(join(tmpdir(), 'ess-npm-cache-'))
afterAll(() => rm(cache, { recursive: true, force: true }))

/** An npm with an empty prefix. Nothing that this run was started with changes what it does. */
async function freshNpm() {
  const folder = await tempDir()
  const [prefix, cwd] = [join(folder, 'prefix'), join(folder, 'cwd')]
  for (const path of [prefix, cwd]) await mkdir(path)
  const inherited = Object.keys(process.env).filter((name) =>
    /^npm_(?!config_(?:registry|userconfig)$)/i.test(name),
  )
  const env = {
    ...Object.fromEntries(inherited.map((name) => [name, undefined])),
    npm_config_cache: cache,
    npm_config_prefix: prefix,
    PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
    NODE_OPTIONS: undefined,
  }
  const start = (program: string, args: readonly string[], inFolder = cwd): Promise<Program> =>
    run([program, ...args].join(' '), program, args, { env, cwd: inFolder })
  return {
    cwd,
    start,
    /** Runs npm to its end. */
    async npm(
      args: readonly string[],
      inFolder?: string,
    ): Promise<{ stdout: string; stderr: string; code: number | null }> {
      const ending = await (await start('npm', args, inFolder)).ended(INSTALL_MS)
      return { ...ending, stdout: ending.stdout.toString() }
    },
    /** Starts an installed command by its name. */
    installed: (command: string, ...args: string[]) => start(join(prefix, 'bin', command), args),
    modules: join(prefix, 'lib', 'node_modules'),
  }
}

type Npm = Awaited<ReturnType<typeof freshNpm>>

/** The project as it is now, in a repository of its own: building it there disturbs nothing here. */
async function copyOfProject(): Promise<string> {
  const folder = await tempDir()
  const git = async (cwd: string, ...args: string[]) => {
    const { code, stdout, stderr } = await (await run(`git ${args[0]}`, 'git', args, { cwd })).ended()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout.toString()
  }
  const names = await git(ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard')
  for (const name of names.split('\0').filter(Boolean)) {
    // A file that is deleted, but not yet in a commit, is still listed.
    await cp(join(ROOT, name), join(folder, name)).catch(() => {})
  }
  await git(folder, 'init', '--quiet')
  await git(folder, 'add', '--all')
  const author = ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'commit.gpgsign=false']
  await git(folder, ...author, 'commit', '--quiet', '--message', 'all of it')
  return folder
}

/** Both commands say the version, and move a file. Returns what the server says of itself. */
async function expectToWork({ installed, cwd }: Npm): Promise<string> {
  for (const command of ['ess', 'ess-server'])
    expect(await outputOf(installed(command, '--version'))).toBe(`${VERSION}\n`)
  const server = await installed('ess-server', '--port', '0')
  const [, url = ''] = await server.untilStdout(/^listening on (\S+)\n/)
  await writeFile(join(cwd, 'file'), 'hello')
  const sender = await installed('ess', 'send', '--server', url, 'file')
  const [link] = await sender.untilStdout(/^\S+\n/)
  expect(await outputOf(installed('ess', 'get', link.trim(), '-o', '-'))).toBe('hello')
  expect((await sender.ended()).code).toBe(0)
  // A server that was packed has the client too.
  expect((await fetch(url + ROUTES.clientPackage, { method: 'HEAD' })).status).toBe(200)
  // And the pages, with all that they load.
  // Node's fetch says of itself that it shows nobody a page.
  const { body } = await exchange(Number(new URL(url).port), requestHead('GET /', BROWSER))
  const parts = loadedBy(body)
  expect(parts.length).toBeGreaterThan(1)
  for (const part of parts)
    expect((await fetch(new URL(part, `${url}/`), { method: 'HEAD' })).status, part).toBe(200)
  return server.stderr()
}

async function outputOf(program: Promise<Program>): Promise<string> {
  const { code, stdout, stderr } = await (await program).ended()
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout.toString()
}

test('npm i -g of the packed package, with its optional packages and without', {
  timeout: INSTALL_MS,
}, async () => {
  const project = await copyOfProject()
  // Packing builds, and reads what the build needs.
  await symlink(join(ROOT, 'node_modules'), join(project, 'node_modules'))
  const packer = await freshNpm()
  const packed = await packer.npm(['pack', '--silent', '--pack-destination', packer.cwd], project)
  expect(packed.code, packed.stderr).toBe(0)
  const [tgz = ''] = /\S+\.tgz/.exec(packed.stdout) ?? []
  const npm = await freshNpm()
  const { code, stderr } = await npm.npm(['install', '--global', join(packer.cwd, tgz)])
  expect(code, stderr).toBe(0)
  const isLinux = process.platform === 'linux'
  expect(await expectToWork(npm)).toMatch(isLinux ? /relay by splice/ : /relay by sockets/)
  // As where no package fits the machine. With --global, npm 11 doesn't heed --omit=optional.
  await rm(join(npm.modules, 'ephemeral-socket-service', 'node_modules', '@koromix'), {
    recursive: true,
    force: !isLinux,
  })
  expect(await expectToWork(npm)).toMatch(/relay by sockets/)
})

test('npm i -g of the git repository, as npm pack packs it', { timeout: INSTALL_MS }, async () => {
  const repository = `git+file://${await copyOfProject()}`
  const npm = await freshNpm()
  const packed = await npm.npm(['pack', '--silent', repository])
  expect(packed.code, packed.stderr).toBe(0)
  const { code, stderr } = await npm.npm(['install', '--global', packed.stdout.trim()])
  expect(code, stderr).toBe(0)
  await expectToWork(npm)
})

test('npm i -g of a git repository by its address fails, and says what works', {
  timeout: INSTALL_MS,
}, async () => {
  const npm = await freshNpm()
  const { code, stderr } = await npm.npm(['install', '--global', `git+file://${await copyOfProject()}`])
  expect(code).not.toBe(0)
  expect(stderr).toContain('Use: npm i -g "$(npm pack --silent git+https://…)"')
})

test('npm i -g of the folder links it, and builds it', { timeout: INSTALL_MS }, async () => {
  const project = await copyOfProject()
  const npm = await freshNpm()
  const { code, stderr } = await npm.npm(['install', '--global', project])
  expect(code, stderr).toBe(0)
  expect(await realpath(join(npm.modules, 'ephemeral-socket-service'))).toBe(await realpath(project))
  await expectToWork(npm)
})

test('npm publish --dry-run has nothing to say but that nobody is logged in', {
  timeout: INSTALL_MS,
}, async () => {
  const project = await copyOfProject()
  await symlink(join(ROOT, 'node_modules'), join(project, 'node_modules'))
  // npm looks for the commands before it has the package built.
  await cp(join(ROOT, 'dist'), join(project, 'dist'), { recursive: true })
  const npm = await freshNpm()
  const { code, stderr } = await npm.npm(['publish', '--dry-run'], project)
  const warnings = stderr.match(/^npm (?:warn|error) .*$/gm) ?? []
  expect(code, stderr).toBe(0)
  expect(warnings.filter((line) => !/This command requires you to be logged in/.test(line))).toEqual([])
})

test('npx and npm i -g take the client from a server, which it then sends to', {
  timeout: INSTALL_MS,
}, async () => {
  const server = await startServer()
  const npm = await freshNpm()
  await writeFile(join(npm.cwd, 'file'), 'hello')
  const args = ['--yes', server.url + ROUTES.clientPackageOfVersion, 'send', 'file']
  for (const [name, start] of [
    ['npx', () => npm.start('npx', args)],
    ['npx again', () => npm.start('npx', args)],
    ['npm i -g', () => npm.installed('ess', 'send', 'file')],
  ] as const) {
    if (name === 'npm i -g') {
      const { code, stderr } = await npm.npm(['install', '--global', server.url + ROUTES.clientPackage])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(
        await readFile(join(npm.modules, 'ephemeral-socket-service-client', 'server.json'), 'utf8'),
      ).toContain(server.url)
    }
    const sender = await start()
    const [link] = await sender.untilStdout(/^http\S+\n/, INSTALL_MS)
    expect(link.startsWith(`${server.url}/`), name).toBe(true)
    expect(await (await fetch(link.trim())).text()).toBe('hello')
    expect((await sender.ended()).code, name).toBe(0)
  }
})

test('npm i -g again takes the client of the server after an upgrade', { timeout: INSTALL_MS }, async () => {
  const current = await readFile(join(ROOT, 'dist', 'ess.tgz'))
  let served: { readonly tgz: Buffer; readonly tag: string } = { tgz: current, tag: '"now"' }
  const server = createServer((request, response) => {
    // As ess-server answers.
    const isKnown = request.headers['if-none-match'] === served.tag
    response.writeHead(isKnown ? 304 : 200, { ETag: served.tag, 'Cache-Control': 'no-cache, no-transform' })
    response.end(isKnown ? undefined : served.tgz)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  // It listens on a port.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${ROUTES.clientPackage}`
  const npm = await freshNpm()
  expect(await npm.npm(['install', '--global', url])).toMatchObject({ code: 0, stderr: '' })
  expect(await outputOf(npm.installed('ess', '--version'))).toBe(`${VERSION}\n`)
  served = { tgz: await withVersion(current, '99.0.0'), tag: '"later"' }
  expect(await npm.npm(['install', '--global', url])).toMatchObject({ code: 0, stderr: '' })
  expect(await outputOf(npm.installed('ess', '--version'))).toBe('99.0.0\n')
})

test('the package of a server and that of the repository replace each other as docs/installing.md says', {
  timeout: INSTALL_MS,
}, async () => {
  const server = await startServer()
  const page = await readPage('docs/installing.md')
  const npm = await freshNpm()
  const whole = ['install', '--global', '--ignore-scripts', ROOT]
  const client = ['install', '--global', server.url + ROUTES.clientPackage]
  expect((await npm.npm(client)).code).toBe(0)
  for (const [there, other] of [
    ['ephemeral-socket-service-client', whole],
    ['ephemeral-socket-service', client],
  ] as const) {
    expect((await npm.npm(other)).stderr).toMatch(/EEXIST.*\n(?:.*\n)*.*bin\/ess/)
    expect(page).toContain(`\`npm rm -g ${there}\``)
    expect((await npm.npm(['rm', '--global', there])).code).toBe(0)
    expect(await npm.npm(other)).toMatchObject({ code: 0 })
    expect(await outputOf(npm.installed('ess', '--version'))).toBe(`${VERSION}\n`)
  }
})

/** The same package, as if it were of another version. */
async function withVersion(tgz: Buffer, version: string): Promise<Buffer> {
  const files = await unpackTar(gunzipSync(tgz))
  const changed = files.map(({ header, data }) => {
    const text = Buffer.from(data ?? [])
      .toString()
      .replaceAll(`"${VERSION}"`, `"${version}"`)
    return { header: { ...header, size: Buffer.byteLength(text) }, body: text }
  })
  return gzipSync(await packTar(changed))
}
