import { linkSync, lstatSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type BundleOptions, bundleSource } from '../../../../client/bundle/pack/bundle-source.js'
import { listed, TARS, tarOf, unpacked } from '../../../helpers/bundles.js'
import { needs } from '../../../helpers/needs.js'
import { plant, snapshot, type Tree } from '../../../helpers/planted.js'
import { run } from '../../../helpers/run.js'
import { runEss } from '../../../helpers/run-ess.js'
import { tempDir } from '../../../helpers/temp-dir.js'

const isLinux = process.platform === 'linux'
const x = { content: 'x' }

/** A folder with this in it. */
async function planted(names: Readonly<Record<string, Tree>>): Promise<string> {
  const path = join(await tempDir(), 'folder')
  plant(path, { names })
  return path
}

async function refusal(paths: readonly (string | Buffer)[], options?: BundleOptions): Promise<unknown> {
  return await bundleSource(paths, options).then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe('what is sent gets the name of its last real component', () => {
  test.each([
    ['a folder', (path: string) => path, 'folder'],
    ['a folder with a slash', (path: string) => `${path}/`, 'folder'],
    ['a folder with slashes', (path: string) => `${path}///`, 'folder'],
    ['a folder within', (path: string) => `${path}/sub`, 'sub'],
    ['.', (path: string) => `${path}/.`, 'folder'],
    ['./', (path: string) => `${path}/./`, 'folder'],
    ['..', (path: string) => `${path}/sub/..`, 'folder'],
    ['../..', (path: string) => `${path}/sub/deep/../..`, 'folder'],
    ['a relative path', (path: string) => relative(process.cwd(), path), 'folder'],
    ['a link', (path: string) => `${path}/link`, 'link'],
    ['a link with a slash', (path: string) => `${path}/link/`, 'link'],
    ['. behind a link', (path: string) => `${path}/link/.`, 'sub'],
    ['.. behind a link', (path: string) => `${path}/link/..`, 'folder'],
  ])('%s', async (_what, from, name) => {
    const path = await planted({ sub: { names: { deep: { names: {} } } }, link: { link: 'sub' } })
    const { bytes, source } = await tarOf([from(path)])
    expect((await listed(bytes))[0]).toBe(`${name}/`)
    expect(source).toMatchObject({ name: `${name}.tar`, type: 'application/x-tar' })
  })

  test('the root has none, and gets one', async () => {
    const error = await refusal(['/', '/.'], { exclude: ['*'] })
    expect(error).toMatchObject({
      code: 'usage',
      message: '/ and /. would both be root. Rename one of them, or send them one after the other.',
    })
  })
})

test('the order is that of the bytes in the names, a folder before its content, whatever the order of the operands', async () => {
  const names = ['\u{1f600}', '\uffee', 'Z', 'a', 'a!', 'a-b', 'é', 'e\u0301']
  const path = await planted({
    ...Object.fromEntries(names.map((name) => [name, x])),
    dir: { names: { x } },
    'dir!': x,
  })
  const other = join(path, '..', 'another')
  plant(other, { names: {} })
  const expected = ['Z', 'a', 'a!', 'a-b', 'dir/', 'dir/x', 'dir!', 'e\u0301', 'é', '\uffee', '\u{1f600}']
  const whole = ['another/', 'folder/', ...expected.map((name) => `folder/${name}`)]
  for (const paths of [
    [path, other],
    [other, path],
  ])
    expect(await listed((await tarOf(paths)).bytes)).toEqual(whole)
})

test('files and folders go side by side, as files.tar', async () => {
  const path = await planted({ a: { names: { x } }, b: x })
  const { bytes, source } = await tarOf([join(path, 'b'), join(path, 'a')])
  expect(source).toMatchObject({ name: 'files.tar', bundle: { entries: 3 } })
  expect(await listed(bytes)).toEqual(['a/', 'a/x', 'b'])
  expect((await tarOf([join(path, 'b')])).source.name).toBe('files.tar')
})

describe('names that would be the same are refused in one line', () => {
  test.each([
    [
      ['a/x', 'b/x'],
      'FOLDER/a/x and FOLDER/b/x would both be x. Rename one of them, or send them one after the other.',
    ],
    [['x', 'a', 'x'], 'You named FOLDER/x twice. Name it once.'],
    [
      ['a', 'a/'],
      'FOLDER/a and FOLDER/a/ would both be a. Rename one of them, or send them one after the other.',
    ],
    [['a', 'b/..', 'a/.'], 'FOLDER/a and FOLDER/a/. would both be a.'],
  ])('%s', async (paths, words) => {
    const path = await planted({ a: { names: { x } }, b: { names: { x } }, x })
    const error = await refusal(paths.map((one) => `${path}/${one}`))
    expect(error).toMatchObject({
      code: 'usage',
      message: expect.stringContaining(words.replaceAll('FOLDER', path)),
    })
  })
})

describe('a wrong operand is refused:', () => {
  test.each([
    ['one that is not there', 'nothing', 'file-unreadable', 'There is no file FOLDER/nothing.'],
    ['one that is nearly there', 'fil', 'file-unreadable', 'There is no file FOLDER/fil. Did you mean file?'],
    ['one in a folder that is not there', 'n/x', 'file-unreadable', 'There is no folder FOLDER/n.'],
    ['. of a folder that is not there', 'n/.', 'file-unreadable', 'There is no folder FOLDER/n.'],
    ['a file with a slash', 'file/', 'file-unreadable', 'There is no file FOLDER/file/.'],
    ['a link that leads nowhere', 'dangling', 'file-unreadable', 'There is no file FOLDER/dangling.'],
    ['a link to itself', 'loop', 'file-unreadable', 'Cannot send loop: its symbolic links lead in a circle.'],
    ['one with a NUL', 'a\0b', 'file-unreadable', 'Cannot send a\0b: '],
  ])('%s', async (_what, name, code, words) => {
    const path = await planted({ file: x, first: x, dangling: { link: 'nowhere' }, loop: { link: 'loop' } })
    const error = await refusal([join(path, 'first'), `${path}/${name}`])
    expect(error).toMatchObject({ code, message: expect.stringContaining(words.replaceAll('FOLDER', path)) })
  })

  test.each([
    ['nothing at all', [], 'There is nothing to send. Name a file or a folder.'],
    ['an empty path', [''], 'A path is empty. Name a file or a folder.'],
  ])('%s', async (_what, paths, message) => {
    expect(await refusal(paths)).toMatchObject({ code: 'usage', message })
  })

  test.skipIf(!isLinux)('a device', async () => {
    expect(await refusal([await planted({}), '/dev/null'])).toMatchObject({
      message: 'Cannot send null: it is a device. Nothing was sent.',
    })
  })

  test.skipIf(!isLinux)('a file or a folder that the kernel makes', async () => {
    for (const [path, name, system] of [
      ['/proc/version', 'version', 'proc'],
      ['/proc', 'proc', 'proc'],
      ['/sys/class/net/lo/mtu', 'mtu', 'sysfs'],
    ] as const)
      expect(await refusal([path])).toMatchObject({
        message: `Cannot send ${name}: it is not stored, but made by the kernel when it is read (${system}). Nothing was sent.`,
      })
    const path = await planted({ link: { link: '/proc/self/status' }, x })
    expect(await refusal([path], { followLinks: true })).toMatchObject({
      message: expect.stringContaining('Cannot send folder/link: it is not stored, but made by the kernel'),
    })
  })
})

describe.skipIf(!isLinux)('nothing is opened that would have us wait for ever:', () => {
  test('the log of the kernel, which root may read', async () => {
    const path = await planted({ x })
    const sending = await runEss('http://127.0.0.1:1', ['send', join(path, 'x'), '/proc/kmsg'])
    const { code, stderr } = await sending.ended()
    expect(stderr).toContain('Cannot send kmsg: it is not stored')
    expect(code).toBe(8)
  })

  test('pipes where git has files', async () => {
    const path = await planted({ '.git': { content: 'gitdir: own\n' }, own: { names: {} }, x })
    await (await run('mkfifo', 'mkfifo', [join(path, 'own', 'commondir')])).ended()
    const sending = await runEss('http://127.0.0.1:1', ['send', '--gitignore', path])
    const { code, stderr } = await sending.ended()
    expect(stderr).toContain('folder/own/commondir: it is a pipe')
    expect(code).toBe(8)
  })
})

test('a long look tells how far it is, and can be ended', async () => {
  const path = await planted({})
  for (let at = 0; at < 4000; at++) mkdirSync(join(path, String(at)))
  const ending = new AbortController()
  const told: number[] = []
  const onLooked = (entries: number) => {
    told.push(entries)
    ending.abort()
  }
  expect(await refusal([path], { onLooked, signal: ending.signal })).toMatchObject({ code: 'interrupted' })
  expect(told).toHaveLength(1)
  expect(told[0]).toBeGreaterThan(0)
  expect(told[0]).toBeLessThan(4000)
})

describe.skipIf(!isLinux)('what can not be sent is named before anything goes out:', () => {
  test('sockets, pipes, links that lead out, names that are not UTF-8', async () => {
    const path = await planted({ fine: x, out: { link: '/etc/passwd' } })
    const server = createServer().listen(join(path, 'socket'))
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    await (await run('mkfifo', 'mkfifo', [join(path, 'pi\npe')])).ended()
    expect(await refusal([path])).toMatchObject({
      code: 'file-unreadable',
      exitStatus: 8,
      message:
        'Cannot send folder/pi\\npe: it is a pipe; folder/socket: it is a socket; folder/out: it links to /etc/passwd, an absolute path, which is another place for the receiver. Send what links lead to with -L, or leave them out with --exclude. Nothing was sent.',
    })
    writeFileSync(Buffer.concat([Buffer.from(`${path}/caf`), Buffer.from([0xe9])]), 'x')
    expect(await refusal([path], { exclude: ['p*', 's*', 'out'] })).toMatchObject({
      message:
        'Cannot send folder/caf\\xe9: its name is not UTF-8. Leave it out with --exclude. Nothing was sent.',
    })
    const { bytes } = await tarOf([path], { exclude: ['p*', 's*', 'out', 'caf*'] })
    expect(await listed(bytes)).toEqual(['folder/', 'folder/fine'])
  })

  test('more than a few are counted', async () => {
    const links = Array.from({ length: 15 }, (_, at) => [`link ${at + 10}`, { link: '../..' }])
    const path = await planted(Object.fromEntries(links))
    expect(await refusal([path])).toMatchObject({
      message: expect.stringMatching(
        /^Cannot send folder\/link 10: .*; folder\/link 12: [^;]*; and 12 more\. Send /,
      ),
    })
  })

  test('what you may not read', async (context) => {
    needs(context, 'setpriv')
    const path = await planted({
      fine: x,
      secret: { content: 'x', mode: 0 },
      closed: { names: { x }, mode: 0 },
      blind: { names: { x }, mode: 0o600 },
    })
    const module = fileURLToPath(
      new URL('../../../../dist/client/bundle/pack/bundle-source.js', import.meta.url),
    )
    const script = `import(process.argv[1]).then(({ bundleSource }) => bundleSource([process.argv[2]])).catch((error) => console.log(error.code + ' ' + error.message))`
    const powers =
      process.geteuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : []
    const [program = '', ...args] = [...powers, process.execPath, '-e', script, module, path]
    const { stdout } = await (await run('node', program, args)).ended()
    expect(stdout.toString()).toBe(
      'file-unreadable Cannot send folder/blind/x: permission denied; folder/closed: permission denied; folder/secret: permission denied. Leave them out with --exclude. Nothing was sent.\n',
    )
  })

  test('an operand whose name is not UTF-8; in a folder of such a name it can be sent', async () => {
    const folder = Buffer.concat([Buffer.from(`${await tempDir()}/d`), Buffer.from([0xe9])])
    mkdirSync(folder)
    const inner = Buffer.concat([folder, Buffer.from('/inner')])
    mkdirSync(inner)
    writeFileSync(Buffer.concat([inner, Buffer.from('/ü')]), 'x')
    expect(await refusal([folder])).toMatchObject({
      message: expect.stringMatching(/^Cannot send \S+\/d\\xe9: its name is not UTF-8\. /),
    })
    expect(await listed((await tarOf([inner])).bytes)).toEqual(['inner/', 'inner/ü'])
    expect(await listed((await tarOf([Buffer.concat([inner, Buffer.from('/.')])])).bytes)).toEqual([
      'inner/',
      'inner/ü',
    ])
  })

  test('a path that is too long for the system', async () => {
    const path = await planted({})
    // The last one can only be made, and removed, from within its folder.
    const deeper = 'd'.repeat(250)
    const script = `for i in $(seq 16); do mkdir ${deeper} && cd ${deeper} || exit 1; done; echo x > ${deeper}`
    const { stderr } = await (await run('sh', 'sh', ['-c', script], { cwd: path })).ended()
    expect(stderr).toBe('')
    onTestFinished(async () => void (await (await run('rm', 'rm', ['-r', path])).ended()))
    const error = await refusal([path])
    expect(error).toMatchObject({
      code: 'file-unreadable',
      message: expect.stringMatching(/^Cannot send folder\/d+…d+: the name is too long\. Leave it out /),
    })
    expect(String(error).length).toBeLessThan(400)
  })
})

describe('symbolic links', () => {
  const LINKED = {
    dir: { names: { x } },
    link: { link: 'dir' },
    file: { link: 'dir/x' },
  }

  test('are links', async () => {
    const path = await planted(LINKED)
    const { bytes } = await tarOf([path])
    expect(snapshot(join(await unpacked(bytes, 'GNU tar'), 'folder'))).toEqual(snapshot(path))
  })

  test('are followed if you want it, also out of what is sent', async () => {
    const path = await planted({ ...LINKED, out: { link: '../outside' } })
    plant(join(path, '..', 'outside'), { names: { y: { content: 'y' } } })
    const { bytes } = await tarOf([path], { followLinks: true })
    expect(await listed(bytes)).toEqual([
      'folder/',
      'folder/dir/',
      'folder/dir/x',
      'folder/file',
      'folder/link/',
      'folder/link/x',
      'folder/out/',
      'folder/out/y',
    ])
    const copy = await unpacked(bytes, 'GNU tar')
    expect(snapshot(copy).filter((line) => line.includes('->'))).toEqual([])
  })

  test('in a circle are refused then', async () => {
    const path = await planted({
      a: { names: { up: { link: '..' } } },
      self: { link: 'self' },
      gone: { link: 'x' },
    })
    expect(await refusal([path], { followLinks: true })).toMatchObject({
      code: 'file-unreadable',
      message:
        'Cannot send folder/a/up: it leads back to folder; folder/gone: it links to what is not there; folder/self: its symbolic links lead in a circle. Leave them out with --exclude. Nothing was sent.',
    })
    const { bytes } = await tarOf([path], { followLinks: true, exclude: ['up', 'self', 'gone'] })
    expect(await listed(bytes)).toEqual(['folder/', 'folder/a/'])
  })

  test.each([
    ['by an absolute path', (path: string) => join(path, 'x'), ', an absolute path, which is another place'],
    ['from outside', () => '../folder/x', ', out of its folder and back, '],
    ['behind another link', () => 'sub/up/../folder/x', ', which goes up behind another link'],
  ])('to what is sent, but %s, are refused for that reason', async (_what, target, words) => {
    const path = await planted({ x, sub: { names: { up: { link: '..' } } } })
    symlinkSync(target(path), join(path, 'l'))
    expect(await refusal([path])).toMatchObject({
      message: expect.stringContaining(`folder/l: it links to ${target(path)}${words}`),
    })
  })

  test('from one folder to another that is sent too are links', async () => {
    const path = await planted({ a: { names: { link: { link: '../b/x' } } }, b: { names: { x } } })
    const { bytes } = await tarOf([join(path, 'a'), join(path, 'b')])
    expect(await listed(bytes)).toEqual(['a/', 'a/link', 'b/', 'b/x'])
    expect(await refusal([join(path, 'a')])).toMatchObject({
      message: expect.stringMatching(
        /^Cannot send a\/link: it links to \.\.\/b\/x, out of what is sent\. Send .* with -L, or leave it out with --exclude\. /,
      ),
    })
  })
})

describe('several names of one file', () => {
  test.each(Object.keys(TARS) as (keyof typeof TARS)[])('are one file for %s too', async (program) => {
    const path = await planted({ a: { content: 'one' }, sub: { names: {} } })
    linkSync(join(path, 'a'), join(path, 'b'))
    linkSync(join(path, 'a'), join(path, 'sub', 'c'))
    const { bytes, source } = await tarOf([path])
    expect(source.size).toBe(5 * 512 + 512 + 1024)
    const copy = join(await unpacked(bytes, program), 'folder')
    expect(new Set(['a', 'b', 'sub/c'].map((name) => lstatSync(join(copy, name)).ino)).size).toBe(1)
  })

  test('of which one is sent are a file', async () => {
    const path = await planted({ a: { content: 'one' } })
    linkSync(join(path, 'a'), join(path, 'b'))
    const { bytes } = await tarOf([path], { exclude: ['a'] })
    const copy = await unpacked(bytes, 'GNU tar')
    expect(snapshot(join(copy, 'folder', 'b'))).toEqual(snapshot(join(path, 'b')))
  })

  test('in two folders that are sent are one file', async () => {
    const path = await planted({ a: { names: { x } }, b: { names: {} } })
    linkSync(join(path, 'a', 'x'), join(path, 'b', 'y'))
    const copy = await unpacked((await tarOf([join(path, 'a'), join(path, 'b')])).bytes, 'GNU tar')
    expect(lstatSync(join(copy, 'b', 'y')).ino).toBe(lstatSync(join(copy, 'a', 'x')).ino)
  })
})

test('of permissions, those for user, group and others are kept, and no others', async () => {
  const path = await planted({ a: { content: 'x', mode: 0o6755 }, b: { names: {}, mode: 0o1777 } })
  const { bytes } = await tarOf([path])
  const copy = join(await unpacked(bytes, 'GNU tar'), 'folder')
  expect(lstatSync(join(copy, 'a')).mode & 0o7777).toBe(0o755)
  expect(lstatSync(join(copy, 'b')).mode & 0o7777).toBe(0o777)
})

test('no entry says whose it is', async () => {
  const path = await planted({ a: x })
  const { bytes } = await tarOf([path])
  const listing = await run('tar tv', 'tar', ['-tv'], { stdin: bytes })
  const { stdout } = await listing.ended()
  expect(stdout.toString().match(/ 0\/0 /g)).toHaveLength(2)
  expect(stdout.toString().match(/\n/g)).toHaveLength(2)
})

describe('a file of more than 8 GiB', () => {
  beforeEach((context) => needs(context, 'tar', 'bsdtar', 'busybox'))
  const SIZE = 9 * 2 ** 30 + 1

  test.each(['tar', 'bsdtar', 'busybox tar'])('%s reads its size', async (line) => {
    const path = await planted({ a: x, large: x, z: { content: 'z' } })
    truncateSync(join(path, 'large'), SIZE)
    const source = await bundleSource([path])
    const first = await source.read().next()
    const [program = '', ...args] = [...line.split(' '), '-tvf', '-']
    const listing = await run(line, program, args, { stdin: Buffer.from(first.value ?? []) })
    // It ends too early.
    const { stdout } = await listing.ended()
    expect(stdout.toString()).toMatch(new RegExp(` ${SIZE} .* folder/large\n`))
    const rest: Buffer[] = []
    for await (const block of source.read((source.size ?? 0) - 2560)) rest.push(Buffer.from(block))
    await source.close()
    const end = await unpacked(Buffer.concat(rest).subarray(512), 'GNU tar')
    expect(snapshot(join(end, 'folder', 'z'))).toEqual(snapshot(join(path, 'z')))
  })
})
