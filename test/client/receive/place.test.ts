import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, type TestContext, test, vi } from 'vitest'
import { type DownloadOptions, download } from '../../../client/index.js'
import { EssError, EXIT_STATUS } from '../../../shared/index.js'
import { bytesOf, sha256 } from '../../helpers/bytes.js'
import { type RawConnection, type RawServer, rawServer } from '../../helpers/client-raw-server.js'
import { acceptGet, downloadHead, ID, LAST_CHUNK, openDownload, problem } from '../../helpers/client-wire.js'
import { needs } from '../../helpers/needs.js'
import { listening } from '../../helpers/recording-proxy.js'
import { type Program, run } from '../../helpers/run.js'
import { ESS, runEss } from '../../helpers/run-ess.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

const isRoot = process.geteuid?.() === 0
const NOBODY = 65534

/** The failure a download ends with. */
async function failure(received: Promise<unknown>): Promise<EssError> {
  const ending = received.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  const error = await within(DEADLINE_MS, 'the download fails', ending)
  if (error instanceof EssError) return error
  throw new Error(`Expected an EssError, got ${error}`)
}

/** Answers the HEAD that looks ahead, so that the next connection is the GET. */
async function answerLook(server: RawServer, ...headers: readonly string[]): Promise<void> {
  const look = await server.accept()
  await look.until(/^HEAD [\s\S]*\r\n\r\n/)
  look.end(downloadHead(...headers))
}

/** A download that is refused before the GET, with the HEAD alone where there is one. */
async function refusedEarly(options: DownloadOptions, ...headers: readonly string[]): Promise<EssError> {
  const server = await rawServer()
  const received = failure(download(ID, { server: server.url, ...options }))
  const isLookedFor = options.to !== undefined && 'folder' in options.to
  if (isLookedFor) await answerLook(server, ...headers)
  const error = await received
  expect(error.exitStatus).toBe(EXIT_STATUS.local)
  expect(server.connections()).toBe(isLookedFor ? 1 : 0)
  return error
}

/** A download of five bytes to a file. */
async function fetchTo(file: string, force: boolean): Promise<RawConnection> {
  const server = await rawServer()
  const received = download(ID, { server: server.url, to: { file }, force })
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  await within(DEADLINE_MS, 'the download is whole', received)
  return connection
}

test('two downloads to one name at once: the second is refused, and its link still works', async () => {
  const first = await rawServer()
  const folder = await tempDir()
  const file = join(folder, 'x')
  const received = download(ID, { server: first.url, to: { file } })
  const connection = await openDownload(first, 'Content-Length: 5')
  await until('the part is there', () => existsSync(`${file}.${ID}.part`))
  const error = await refusedEarly({ to: { file } })
  expect([error.code, error.message]).toEqual([
    'file-exists',
    `Another download is writing ${file}: ${file}.${ID}.part has just changed. Choose another name with -o, or try again later.`,
  ])
  connection.end('hello')
  await received
  expect(await readdir(folder)).toEqual(['x'])
})

test('a download to which no byte comes still shows that it is under way, until it is over', async () => {
  const server = await rawServer()
  const file = join(await tempDir(), 'x')
  const received = failure(download(ID, { server: server.url, to: { file } }))
  const connection = await acceptGet(server)
  await utimes(`${file}.${ID}.part`, 0, 0)
  await until('the part is touched', async () => (await stat(`${file}.${ID}.part`)).mtimeMs > 0)
  connection.end(problem(410, 'gone', 'It is over.'))
  await received
  expect(existsSync(`${file}.${ID}.part`)).toBe(false)
})

test('the second of two downloads to one name wins with force', async () => {
  const first = await rawServer()
  const folder = await tempDir()
  const file = join(folder, 'x')
  const received = download(ID, { server: first.url, to: { file }, force: true })
  const connection = await openDownload(first, 'Content-Length: 5')
  await until('the part is there', () => existsSync(`${file}.${ID}.part`))
  await fetchTo(file, true)
  expect(await readFile(file, 'utf8')).toBe('hello')
  connection.end('HELLO')
  await received
  expect(await readFile(file, 'utf8')).toBe('HELLO')
  expect(await readdir(folder)).toEqual(['x'])
})

test.each([
  ['a name that is too long', 'n'.repeat(256), 'the name is too long'],
  ['a folder that is no folder', 'file/x', 'no such folder'],
  ['a link to nowhere', 'dangling', 'it is a symbolic link that leads nowhere'],
  ['links in a circle', 'circle', 'its symbolic links lead in a circle'],
  ['a folder', 'folder', 'is a folder. Name a file in it'],
  ['a socket', 'socket', 'it is a socket'],
])('%s is refused before the server is asked', async (_what, name, words) => {
  const folder = await tempDir()
  await writeFile(join(folder, 'file'), 'mine')
  await mkdir(join(folder, 'folder'))
  await symlink('nowhere', join(folder, 'dangling'))
  await symlink('circle', join(folder, 'circle'))
  const socket = createServer().listen(join(folder, 'socket'))
  onTestFinished(() => void socket.close())
  await until('the socket is there', () => existsSync(join(folder, 'socket')))
  const error = await refusedEarly({ to: { file: join(folder, name) }, force: true })
  expect(error.code).toBe('file-unwritable')
  expect(error.message).toContain(words)
  expect((await readdir(folder)).sort()).toEqual(['circle', 'dangling', 'file', 'folder', 'socket'])
})

test.each([
  [243, `x.${ID}.part`],
  [250, `x.${ID}.part`],
  [251, 'another part'],
  [255, 'another part'],
])('a name of %i bytes can be had, if need be through %s', async (length) => {
  const folder = await tempDir()
  const name = 'n'.repeat(length)
  await fetchTo(join(folder, name), false)
  expect(await readdir(folder)).toEqual([name])
})

test.each(['folder', 'link', 'fifo'])(
  "the sender's name is refused before the GET where it is a %s's, with force too",
  async (kind) => {
    const folder = await tempDir()
    const path = join(folder, 'file.txt')
    await writeFile(join(folder, 'target'), 'mine')
    if (kind === 'folder') await mkdir(path)
    else if (kind === 'link') await symlink('target', path)
    else execFileSync('mkfifo', [path])
    await refusedEarly({ to: { folder }, force: true }, 'Content-Length: 5')
    expect((await readdir(folder)).sort()).toEqual(['file.txt', 'target'])
    expect(await readFile(join(folder, 'target'), 'utf8')).toBe('mine')
  },
)

test("a sender's name that another download is about to take is refused before the GET", async () => {
  const folder = await tempDir()
  // As that of an older program is called.
  const part = join(folder, 'file.txt.part')
  await writeFile(part, 'theirs')
  const pulse = setInterval(() => void utimes(part, new Date(), new Date()), 500)
  onTestFinished(() => clearInterval(pulse))
  const error = await refusedEarly({ to: { folder } }, 'Content-Length: 5')
  expect(error.code).toBe('file-exists')
  expect(await readdir(folder)).toEqual(['file.txt.part'])
})

test('a name that is another one by the time of the GET is looked at again', async () => {
  const server = await rawServer()
  const folder = await tempDir()
  const received = download(ID, { server: server.url, to: { folder } })
  await answerLook(server, 'Content-Disposition: attachment; filename="early"')
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  expect(await received).toMatchObject({ path: join(folder, 'file.txt') })
  expect(await readdir(folder)).toEqual(['file.txt'])
})

test('more than the disk has room for is refused before the GET where the size is known by then', async () => {
  const folder = await tempDir()
  const error = await refusedEarly({ to: { folder } }, `Content-Length: ${2 ** 52}`)
  expect(error.message).toMatch(/file\.txt: it needs 4\.5 PB, and the disk has .* left\. Free 4\.5 PB, /)
  expect(await readdir(folder)).toEqual([])
})

test('and with -o, so that the link still works', async () => {
  const server = await rawServer()
  const folder = await tempDir()
  await writeFile(join(folder, 'x'), 'mine')
  for (const force of [false, true]) {
    const file = join(folder, force ? 'x' : 'y')
    const received = failure(download(ID, { server: server.url, to: { file }, force }))
    await answerLook(server, `Content-Length: ${2 ** 52}`)
    expect((await received).message).toMatch(
      /[xy]: it needs 4\.5 PB, and the disk has .* left\. Free 4\.5 PB, /,
    )
  }
  expect(server.connections()).toBe(2)
  expect(await readdir(folder)).toEqual(['x'])
  expect(await readFile(join(folder, 'x'), 'utf8')).toBe('mine')
})

test.runIf(process.platform === 'linux').each(['> x', '>> x', '1<> x', '3> x -o /dev/fd/3'])(
  'and into a file that the shell opened with %s',
  async (redirection) => {
    const cwd = await tempDir()
    const server = await rawServer()
    const env = { NODE: process.execPath, ESS, ESS_SERVER: server.url, ID }
    const program = await run('ess get', 'sh', ['-c', `exec "$NODE" "$ESS" get "$ID" ${redirection}`], {
      cwd,
      env,
    })
    await answerLook(server, `Content-Length: ${2 ** 52}`)
    const { code, stderr } = await program.ended()
    expect([code, stderr]).toEqual([
      EXIT_STATUS.local,
      expect.stringMatching(
        /^ess: There is no room for .*: it needs 4\.5 PB, and the disk has .* left\. Free 4\.5 PB, .* \[file-unwritable\]\n$/,
      ),
    ])
    expect(server.connections()).toBe(1)
  },
)

test('a file that is written over has its room already', async (context) => {
  const cwd = await tempDir()
  await mkdir(join(cwd, 'disk'))
  const server = await rawServer()
  const script = `mount -t tmpfs -o size=64k none disk; head -c 49152 /dev/zero > disk/x
    "$NODE" "$ESS" "$@" 1<> disk/x; cat disk/x`
  const program = await getIn(context, server, cwd, script)
  const body = bytesOf(48 * 1024)
  ;(await openDownload(server, `Content-Length: ${body.length}`)).end(body.toString('latin1'))
  const { code, stdout, stderr } = await program.ended()
  expect(code, stderr).toBe(0)
  expect(sha256(stdout)).toBe(sha256(body))
})

test.each([
  ['a link that is not there yet', problem(404, 'not-found', 'not there')],
  ['a server that knows no HEAD', 'HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n'],
])('%s refuses the HEAD, and the GET waits', async (_what, refusal) => {
  const server = await rawServer()
  const file = join(await tempDir(), 'x')
  const received = download(ID, { server: server.url, to: { file }, wait: 7 })
  const look = await server.accept()
  await look.until(/^HEAD [\s\S]*\r\n\r\n/)
  look.end(refusal.replace(/(?<=\r\n\r\n)[\s\S]*/, ''))
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  expect(await received).toMatchObject({ bytes: 5, path: file })
})

test('a server that is not reached is not asked twice', async () => {
  let connections = 0
  const refusing = createServer((socket) => {
    connections++
    socket.destroy()
  })
  const port = await listening(refusing)
  onTestFinished(() => void vi.unstubAllEnvs())
  vi.stubEnv('http_proxy', `127.0.0.1:${port}`)
  vi.stubEnv('no_proxy', '')
  const folder = await tempDir()
  const error = await failure(download(ID, { server: 'http://ess.example', to: { file: join(folder, 'x') } }))
  expect(error.code).toBe('proxy-failed')
  expect(connections).toBe(1)
  expect(await readdir(folder)).toEqual([])
})

test.each(['folder', 'link', 'fifo'])("a %s with the part's name is no download", async (kind) => {
  const folder = await tempDir()
  const path = join(folder, `x.${ID}.part`)
  await writeFile(join(folder, 'target'), 'mine')
  if (kind === 'folder') await mkdir(path)
  else if (kind === 'link') await symlink('target', path)
  else execFileSync('mkfifo', [path])
  await fetchTo(join(folder, 'x'), false)
  expect((await readdir(folder)).sort()).toEqual(['target', 'x', `x.${ID}.part`])
  expect(await readFile(join(folder, 'target'), 'utf8')).toBe('mine')
})

test('at the head of the GET where the size is not known before', async () => {
  const server = await rawServer()
  const folder = await tempDir()
  const received = failure(download(ID, { server: server.url, to: { file: join(folder, 'x') } }))
  const connection = await openDownload(server, `Content-Length: ${2 ** 52}`)
  expect((await received).message).toMatch(/x: it needs 4\.5 PB, and the disk has .* left\. Free 4\.5 PB, /)
  expect(await connection.ending()).toBe('rst')
  expect(await readdir(folder)).toEqual([])
})

test.each([
  ['600', 0o600, 0o600],
  ['640', 0o640, 0o640],
  ['444', 0o444, 0o444],
  ['755', 0o755, 0o755],
  ['4755, but for what vouched for other bytes', 0o4755, 0o755],
])('force keeps the mode: %s', async (_what, before, after) => {
  const folder = await tempDir()
  const file = join(folder, 'x')
  await writeFile(file, 'mine')
  await chmod(file, before)
  const server = await rawServer()
  const received = download(ID, { server: server.url, to: { file }, force: true })
  const connection = await openDownload(server, 'Content-Length: 5')
  // No more than that while it is written.
  expect((await stat(`${file}.${ID}.part`)).mode & 0o7777 & ~after).toBe(0)
  connection.end('hello')
  await received
  expect((await stat(file)).mode & 0o7777).toBe(after)
  expect(await readFile(file, 'utf8')).toBe('hello')
})

test.runIf(isRoot)('force keeps the owner and the group', async () => {
  const file = join(await tempDir(), 'x')
  await writeFile(file, 'mine')
  await chmod(file, 0o640)
  await chown(file, NOBODY, NOBODY - 1)
  await fetchTo(file, true)
  expect(await stat(file)).toMatchObject({ uid: NOBODY, gid: NOBODY - 1, mode: 0o100640 })
})

test('force writes over what a link leads to that the user named, and leaves the link', async () => {
  const folder = await tempDir()
  await mkdir(join(folder, 'far'))
  await writeFile(join(folder, 'far', 'target'), 'mine', { mode: 0o600 })
  await symlink('far/target', join(folder, 'x'))
  await fetchTo(join(folder, 'x'), true)
  expect(await readlink(join(folder, 'x'))).toBe('far/target')
  expect(await readFile(join(folder, 'far', 'target'), 'utf8')).toBe('hello')
  expect((await stat(join(folder, 'x'))).mode & 0o777).toBe(0o600)
  expect([await readdir(folder), await readdir(join(folder, 'far'))]).toEqual([['far', 'x'], ['target']])
})

test('a second name of the file that is replaced keeps what was in it', async () => {
  const folder = await tempDir()
  await writeFile(join(folder, 'x'), 'mine')
  await link(join(folder, 'x'), join(folder, 'y'))
  await fetchTo(join(folder, 'x'), true)
  expect(await readFile(join(folder, 'y'), 'utf8')).toBe('mine')
})

/** A machine on which these calls fail, as they do on some file systems and under some rules. */
function failing(calls: Readonly<Record<string, string>>): { readonly NODE_OPTIONS: string } {
  const program = `
    import fs from 'node:fs/promises'
    import { syncBuiltinESMExports } from 'node:module'
    for (const [name, code] of Object.entries(${JSON.stringify(calls)}))
      fs[name] = async () => { throw Object.assign(new Error(name), { code }) }
    syncBuiltinESMExports()`
  return { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(program)}` }
}

/** `ess get` of five bytes on such a machine. */
async function getOn(
  calls: Readonly<Record<string, string>>,
  cwd: string,
  ...args: readonly string[]
): Promise<{ code: number | null; stderr: string; ending: 'fin' | 'rst' }> {
  const server = await rawServer()
  const program = await runEss(server.url, ['get', ID, ...args], { cwd, env: failing(calls) })
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  const ending = await connection.ending()
  const { code, stderr } = await program.ended()
  return { code, stderr, ending }
}

test.each([
  ['Android', { link: 'EACCES' }],
  ['FAT', { link: 'EPERM' }],
  ['a folder in a container', { link: 'ENOTSUP', rename: 'EXDEV' }],
  ['Windows, where a scanner has the file open', { link: 'EPERM', rename: 'EBUSY' }],
  ['a rule for which there is no code', { link: 'EWHATEVER', rename: 'EWHATEVER' }],
])('a new file is there where links or renames fail: %s', async (_where, calls) => {
  const cwd = await tempDir()
  expect(await getOn(calls, cwd, '-o', 'x')).toEqual({ code: 0, stderr: '', ending: 'fin' })
  expect(await readdir(cwd)).toEqual(['x'])
  expect(await readFile(join(cwd, 'x'), 'utf8')).toBe('hello')
})

test.each(['EBUSY', 'EPERM', 'EACCES', 'EXDEV'])(
  'where renaming fails with %s, force copies into the file that is there',
  async (code) => {
    const cwd = await tempDir()
    await writeFile(join(cwd, 'x'), 'what was there is longer')
    const { ino } = await stat(join(cwd, 'x'))
    const got = await getOn({ rename: code }, cwd, '-f', '-o', 'x')
    expect(got).toEqual({ code: 0, stderr: '', ending: 'fin' })
    expect(await readdir(cwd)).toEqual(['x'])
    expect(await readFile(join(cwd, 'x'), 'utf8')).toBe('hello')
    expect((await stat(join(cwd, 'x'))).ino).toBe(ino)
  },
)

test('a name that is taken where there are no links is not written over, and the download is kept', async () => {
  const cwd = await tempDir()
  const server = await rawServer()
  const env = failing({ link: 'EPERM' })
  const program = await runEss(server.url, ['get', ID, '-o', 'x'], { cwd, env })
  const connection = await openDownload(server, 'Content-Length: 5')
  await writeFile(join(cwd, 'x'), 'mine')
  connection.end('hello')
  const { code, stderr } = await program.ended()
  const part = join(cwd, `x.${ID}.part`)
  expect([code, stderr]).toEqual([
    EXIT_STATUS.local,
    `ess: Another program has created ${join(cwd, 'x')} in the meantime. The whole download is in ${part}. [file-exists]\n`,
  ])
  expect(await connection.ending()).toBe('fin')
  expect(await readFile(join(cwd, 'x'), 'utf8')).toBe('mine')
  expect(await readFile(part, 'utf8')).toBe('hello')
})

test('a folder that takes the name meanwhile costs no byte', async () => {
  const server = await rawServer()
  const folder = await tempDir()
  const file = join(folder, 'x')
  const received = failure(download(ID, { server: server.url, to: { file }, force: true }))
  const connection = await openDownload(server, 'Content-Length: 5')
  await mkdir(file)
  connection.end('hello')
  const error = await received
  expect(error).toMatchObject({ code: 'file-unwritable', exitStatus: EXIT_STATUS.local })
  expect(error.message).toMatch(
    new RegExp(`^Cannot write ${file}: .*\\. The whole download is in ${file}.${ID}.part\\.$`),
  )
  expect(await connection.ending()).toBe('fin')
  expect(await readFile(`${file}.${ID}.part`, 'utf8')).toBe('hello')
})

/** `ess get -f -o NAME` by a shell script that prepares its place, in a mount namespace of its own. */
async function getIn(
  context: TestContext,
  server: RawServer,
  cwd: string,
  script: string,
  ...args: readonly string[]
): Promise<Program> {
  needs(context, 'unshare', 'mount', 'setpriv')
  try {
    execFileSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' })
  } catch {
    // A container may not let us.
    context.skip('needs a mount namespace of its own')
  }
  const env = { NODE: process.execPath, ESS, ESS_SERVER: server.url }
  const words = ['-m', ...(isRoot ? [] : ['-r']), 'sh', '-ec', script, 'sh', 'get', ID, ...args]
  return await run('ess get in its own namespace', 'unshare', words, { cwd, env })
}

test.for([
  { what: 'writable', script: 'mount --bind host x; exec "$NODE" "$ESS" "$@"', isTaken: true },
  {
    what: 'read-only',
    script: 'mount --bind host x; mount -o remount,ro,bind x; exec "$NODE" "$ESS" "$@"',
    isTaken: false,
  },
])('a file that is mounted by itself and $what', async ({ script, isTaken }, context) => {
  const server = await rawServer()
  const cwd = await tempDir()
  for (const name of ['host', 'x']) await writeFile(join(cwd, name), 'what was there is longer')
  const program = await getIn(context, server, cwd, script, '-f', '-o', 'x')
  if (isTaken) (await openDownload(server, 'Content-Length: 5')).end('hello')
  const { code, stderr } = await program.ended()
  expect(code, stderr).toBe(isTaken ? 0 : EXIT_STATUS.local)
  // A HEAD and a GET, or no request.
  expect(server.connections()).toBe(isTaken ? 2 : 0)
  expect(await readFile(join(cwd, 'host'), 'utf8')).toBe(isTaken ? 'hello' : 'what was there is longer')
  expect((await readdir(cwd)).sort()).toEqual(['host', 'x'])
})

test('a file that is mounted from a disk without room: refused where the size is known, else kept aside', async (context) => {
  const cwd = await tempDir()
  await mkdir(join(cwd, 'disk'))
  await writeFile(join(cwd, 'x'), '')
  const prepare = 'mount -t tmpfs -o size=64k none disk; echo old > disk/x; mount --bind disk/x x'
  const script = `${prepare}; exec "$NODE" "$ESS" "$@"`
  const body = bytesOf(256 * 1024)

  const known = await rawServer()
  const refused = await getIn(context, known, cwd, script, '-f', '-o', 'x')
  const early = await openDownload(known, `Content-Length: ${body.length}`)
  expect(await early.ending()).toBe('rst')
  expect((await refused.ended()).stderr).toContain('x: it needs 262.1 kB, and ')
  expect((await readdir(cwd)).sort()).toEqual(['disk', 'x'])

  const unknown = await rawServer()
  const kept = await getIn(context, unknown, cwd, script, '-f', '-o', 'x')
  const late = await openDownload(unknown, 'Transfer-Encoding: chunked')
  late.write(`${body.length.toString(16)}\r\n`)
  late.write(body)
  late.end(`\r\n${LAST_CHUNK}`)
  expect(await late.ending()).toBe('fin')
  const { code, stderr } = await kept.ended()
  const path = join(cwd, 'x')
  const words = `Cannot write ${path}: the disk is full. Its old content is lost. The whole download is in ${path}.${ID}.part.`
  expect([code, stderr]).toEqual([EXIT_STATUS.local, `ess: ${words} [file-unwritable]\n`])
  expect(sha256(await readFile(`${path}.${ID}.part`))).toBe(sha256(body))
})

test.runIf(isRoot).for([
  { mode: 0o666, words: '666', isTaken: true },
  { mode: 0o644, words: '644', isTaken: false },
])("another user's file of mode $words in a sticky folder", async ({ mode, isTaken }, context) => {
  const server = await rawServer()
  const cwd = await tempDir()
  await writeFile(join(cwd, 'x'), 'what was there is longer')
  await chmod(join(cwd, 'x'), mode)
  await chmod(cwd, 0o1777)
  const script = `exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups "$NODE" "$ESS" "$@"`
  const program = await getIn(context, server, cwd, script, '-f', '-o', 'x')
  if (isTaken) (await openDownload(server, 'Content-Length: 5')).end('hello')
  const { code, stderr } = await program.ended()
  expect(code, stderr).toBe(isTaken ? 0 : EXIT_STATUS.local)
  // A HEAD and a GET, or no request.
  expect(server.connections()).toBe(isTaken ? 2 : 0)
  expect(await readFile(join(cwd, 'x'), 'utf8')).toBe(isTaken ? 'hello' : 'what was there is longer')
  expect(await lstat(join(cwd, 'x'))).toMatchObject({ uid: 0, mode: 0o100000 | mode })
  expect(await readdir(cwd)).toEqual(['x'])
})

test('what was opened by the shell is written to as it is', async () => {
  const cwd = await tempDir()
  await writeFile(join(cwd, 'log'), 'before\n')
  const server = await rawServer()
  const line = 'exec "$NODE" "$ESS" get "$ID" -o /dev/fd/3 3>> log'
  const env = { NODE: process.execPath, ESS, ESS_SERVER: server.url, ID }
  const program = await run('ess get to a descriptor', 'sh', ['-c', line], { cwd, env })
  ;(await openDownload(server, 'Content-Length: 5')).end('hello')
  const { code, stderr } = await program.ended()
  expect(code, stderr).toBe(0)
  expect(await readFile(join(cwd, 'log'), 'utf8')).toBe('before\nhello')
  expect(await readdir(cwd)).toEqual(['log'])
})
