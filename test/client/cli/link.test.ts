import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readLink } from '../../../client/cli/link.js'
import { withScheme } from '../../../client/cli/server-address.js'
import { ess } from '../../helpers/client-io.js'
import { rawServer } from '../../helpers/client-raw-server.js'
import { openDownload } from '../../helpers/client-wire.js'
import { tempDir } from '../../helpers/temp-dir.js'

const ID = 'AbCdEfGhIjKl'
const SERVER = 'https://own.example:8443/share'
const LINK = `https://h.example/${ID}/report.pdf`

/** What people paste, and the link in it. */
const PASTED: Readonly<Record<string, string>> = {
  [ID]: ID,
  [` ${ID}\n`]: ID,
  [`${ID}.`]: ID,
  [`${ID}/`]: ID,
  [`/${ID}`]: ID,
  [`<${ID}>`]: ID,
  [`"${ID}"`]: ID,
  [`${ID}/report.pdf`]: `${SERVER}/${ID}/report.pdf`,
  [`/${ID}/report.pdf`]: `${SERVER}/${ID}/report.pdf`,
  [`${ID}#the-key`]: `${SERVER}/${ID}#the-key`,
  [LINK]: LINK,
  [LINK.toUpperCase().replace('/ABCDEFGHIJKL/REPORT.PDF', `/${ID}`)]: `https://h.example/${ID}`,
  [`  ${LINK}\r\n`]: LINK,
  [`\u200b${LINK}\u2069\u00a0`]: LINK,
  [`${LINK}${'.'.repeat(50_000)}`]: LINK,
  [`${LINK}/`]: LINK,
  [`${LINK}.`]: LINK,
  [`${LINK}, please`]: LINK,
  [`(${LINK})`]: LINK,
  [`(see ${LINK}).`]: LINK,
  [`<${LINK}>`]: LINK,
  [`<${LINK}|report.pdf>`]: LINK,
  [`"${LINK}"`]: LINK,
  [`'${LINK}'`]: LINK,
  [`“${LINK}”`]: LINK,
  [`«${LINK}»`]: LINK,
  [`\`${LINK}\``]: LINK,
  [`**${LINK}**`]: LINK,
  [`[the report](${LINK})`]: LINK,
  [`[${LINK}](${LINK}).`]: LINK,
  [`Link: ${LINK}`]: LINK,
  [`link:${LINK}`]: LINK,
  [`Here it is: ${LINK} - it works once!`]: LINK,
  [`curl -fo 'report.pdf' '${LINK}'`]: LINK,
  [`ess get ${LINK}`]: LINK,
  [`ess get ${ID} --server http://10.0.0.7:9100`]: `http://10.0.0.7:9100/${ID}`,
  [`$ ess receive ${ID} --server=https://h.example/share/`]: `https://h.example/share/${ID}`,
  [`https://h.example/${ID}/report(1)`]: `https://h.example/${ID}/report(1)`,
  [`(https://h.example/${ID}/report(1))`]: `https://h.example/${ID}/report(1)`,
  [`${LINK}#aGVsbG8_-`]: `${LINK}#aGVsbG8_-`,
  [`<${LINK}#aGVsbG8_->.`]: `${LINK}#aGVsbG8_-`,
  [`https://h.example/${ID}/?wait=5#k`]: `https://h.example/${ID}?wait=5#k`,
  [`https://me:secret@h.example/${ID}`]: `https://me:secret@h.example/${ID}`,
  [`h.example/${ID}`]: `https://h.example/${ID}`,
  [`h.example/${ID}/report.pdf.`]: `https://h.example/${ID}/report.pdf`,
  [`<h.example/${ID}/>`]: `https://h.example/${ID}`,
  [`h.example/share/${ID}#k`]: `https://h.example/share/${ID}#k`,
  [`h.example:9100/${ID}`]: `http://h.example:9100/${ID}`,
  [`own.example:8443/share/${ID}`]: `https://own.example:8443/share/${ID}`,
  [`[2001:db8::1]:9100/${ID}`]: `http://[2001:db8::1]:9100/${ID}`,
  [`[::1]/${ID}/f`]: `http://[::1]/${ID}/f`,
  [`nas/${ID}`]: `http://nas/${ID}`,
  [`//h.example/${ID}`]: `https://h.example/${ID}`,
  [`//127.0.0.1:9100/${ID}/f`]: `http://127.0.0.1:9100/${ID}/f`,
  [`//${ID}/report.pdf`]: `${SERVER}/${ID}/report.pdf`,
  [`http:/127.0.0.1:1/${ID}`]: `http://127.0.0.1:1/${ID}`,
  [`<https:/h.example/${ID}>`]: `https://h.example/${ID}`,
  [`&lt;${LINK}&gt;`]: LINK,
  [`&quot;${LINK}&quot;.`]: LINK,
  [`https://h.example/${ID}?wait=5&amp;x=1`]: `https://h.example/${ID}?wait=5&x=1`,
  [`https://h.example/${ID}/ess.tgz`]: `https://h.example/${ID}/ess.tgz`,
  [`h.example/${ID}/ess-0.1.0.tgz`]: `https://h.example/${ID}/ess-0.1.0.tgz`,
  // Twelve letters may be a host.
  [`fileserver12/${ID}`]: `http://fileserver12/${ID}`,
}

const KEY = `AGE-SECRET-KEY-1${'QZ'.repeat(29)}`

describe('ess get keeps the key', () => {
  /** The key stands where the link ends. Where the link is there twice, in each of them. */
  const withKey = Object.entries(PASTED)
    .filter(([pasted, link]) => pasted.includes(LINK) && link === LINK)
    .map(([pasted]) => pasted.replaceAll(LINK, `${LINK}#${KEY}`).replace(`#${KEY}/`, `#${KEY}`))

  test.each(withKey)('in %j', (pasted) => {
    expect(readLink(pasted, SERVER)).toBe(`${LINK}#${KEY}`)
  })

  test.each([
    [`${ID}#${KEY}`, `${SERVER}/${ID}#${KEY}`],
    [`h.example/${ID}#${KEY}`, `https://h.example/${ID}#${KEY}`],
    [`${LINK}#${KEY.toLowerCase()}`, `${LINK}#${KEY.toLowerCase()}`],
    [`${LINK}#${KEY.slice(0, 30)}\u00ad\u200b${KEY.slice(30)}`, `${LINK}#${KEY}`],
    [`ess get '${LINK}#${KEY}'`, `${LINK}#${KEY}`],
    [`ess get '${ID}#${KEY}'`, `${SERVER}/${ID}#${KEY}`],
    // Our own line for curl and age.
    [`curl -f '${LINK}' | age -d -i <(echo ${KEY}) > 'report.pdf'`, `${LINK}#${KEY}`],
    [`curl -f '${LINK}' | age -d -i <(echo ${KEY}) | tar x`, `${LINK}#${KEY}`],
    [`link: ${LINK}, key: ${KEY}.`, `${LINK}#${KEY}`],
    [`${ID} ${KEY}`, `${SERVER}/${ID}#${KEY}`],
    // What chats and mail programs make of the #.
    [`${LINK}%23${KEY}`, `${LINK}#${KEY}`],
    [`<${LINK}%2523${KEY}>.`, `${LINK}#${KEY}`],
    [`${ID}%23${KEY}`, `${SERVER}/${ID}#${KEY}`],
    [`h.example/${ID}\uff03${KEY}`, `https://h.example/${ID}#${KEY}`],
    [`${LINK}&num;${KEY}`, `${LINK}#${KEY}`],
    [`${LINK}&#35;${KEY}`, `${LINK}#${KEY}`],
  ])('in %j', (pasted, link) => {
    expect(readLink(pasted, SERVER)).toBe(link)
  })
})

test.each([
  ['get', (url: string) => `${url}/${ID}?${KEY}`],
  ['get', (url: string) => `${url}/${ID}/${KEY}`],
  ['get', (url: string) => `${url}/${ID}${KEY}`],
  ['get', (url: string) => `${url}/${ID}?u=%252523${KEY.replaceAll('-', '%2D')}`],
  ['get', (url: string) => `${url}/${ID}?k=${KEY}#${KEY}`],
  ['doctor', (url: string) => `${url}/${ID}/${KEY}`],
])('ess %s sends no key to a server', async (command, link) => {
  const server = await rawServer()
  const run = ess([command, link(server.url)])
  expect(await run.status).toBe(2)
  expect(run.stderr()).toContain('There is a secret key in this link, but not behind a #')
  expect(run.stdout() + run.stderr()).not.toContain('QZQZ')
  expect(server.connections()).toBe(0)
})

describe('ess get finds the link in', () => {
  test.each(Object.entries(PASTED))('%j', (pasted, link) => {
    expect(readLink(pasted, SERVER)).toBe(link)
  })
})

test.each([
  'short',
  'h.example',
  'https://h.example',
  'h.example/short',
  `///h.example/${ID}`,
  `\\\\h.example\\${ID}`,
  '//',
  '//h.example',
  'ftp://h.example/x',
  `h.example/${ID}/a/b`,
  'report.pdf',
  '<>',
  '',
])('ess get finds no link in %j', (pasted) => {
  expect(() => readLink(pasted, SERVER)).toThrow(/such as https:\/\/send\.example\.org\/AbCdEfGhIjKl/)
})

test.each(['https://h.example/ess.tgz', 'http://h.example/share/ess-1.2.3.tgz'])(
  'ess get is told how to install %s',
  (url) => {
    expect(() => readLink(url, SERVER)).toThrow(
      `is the package of ess, not a link. To install it, run npm i -g ${url}`,
    )
  },
)

/** Addresses without a scheme, and the one they get. Your own server is https://own.example:8443. */
const SCHEMES: Readonly<Record<string, 'http' | 'https' | undefined>> = {
  'own.example:8443': 'https',
  'OWN.example:8443/share': 'https',
  'own.example:9000': 'http',
  'own.example': 'https',
  'send.example.org': 'https',
  'send.example.org.': 'https',
  'send.example.org:443': 'https',
  '10.0.0.1:443': 'https',
  'send.example.org:80': 'http',
  'send.example.org:8443': 'http',
  'send.example.org/share': 'https',
  'send.example.org?x': 'https',
  'me:443@send.example.org:9000': 'http',
  localhost: 'http',
  'localhost:9000': 'http',
  'me.localhost': 'http',
  '127.0.0.1': 'http',
  '127.1': 'http',
  '192.168.1.5': 'http',
  '203.0.113.5': 'http',
  '[::1]': 'http',
  '[2001:db8::1]:443': 'https',
  nas: 'http',
  'nas.local': 'http',
  'nas.home.arpa': 'http',
  'nas.lan.': 'http',
  'h:port': undefined,
  '': undefined,
  'a b': undefined,
  '/x': undefined,
  '///x': undefined,
  '\\x': undefined,
  '//': undefined,
}

test.each(Object.entries(SCHEMES))('%j without a scheme is %s', (address, scheme) => {
  const url = withScheme(address, 'https://own.example:8443/share')
  expect(url).toBe(scheme === undefined ? undefined : `${scheme}://${address}`)
})

test('two slashes before an address count for nothing', () => {
  expect(withScheme('//own.example:8443/x', 'https://own.example:8443')).toBe('https://own.example:8443/x')
  expect(withScheme('//nas')).toBe('http://nas')
})

test.each([
  [['get', `//127.0.0.1:1/${ID}`], 6, 'No ESS server at 127.0.0.1:1.'],
  [[`//127.0.0.1:1/${ID}`], 2, `is a link, not a command. To receive it, run ess get //127.0.0.1:1/${ID}`],
  [['send', '--server', '//127.0.0.1:1', 'package.json'], 6, 'No ESS server at 127.0.0.1:1.'],
  [['send', '--server', '/127.0.0.1:1', 'package.json'], 2, 'is no address of a server'],
  [['send', '--server', '///127.0.0.1:1', 'package.json'], 2, 'is no address of a server'],
  [['doctor', '///h'], 2, 'is no address of a server'],
  [
    ['send', `https://h.example/${ID}`],
    2,
    `is a link, not a file. To receive it, run ess get https://h.example/${ID}`,
  ],
  [['get', '.'], 2, '. is a folder here, not a link. To send it, run ess send .'],
] as const)('ess %j is no bug', async (args, status, words) => {
  const run = ess([...args], { cwd: process.cwd() })
  expect([await run.status, run.stderr()]).toEqual([status, expect.stringContaining(words)])
})

test('ESS_SERVER may begin with two slashes', async () => {
  const run = ess(['get', ID], { env: { ESS_SERVER: '//127.0.0.1:1' } })
  expect([await run.status, run.stderr()]).toEqual([
    6,
    expect.stringContaining('No ESS server at 127.0.0.1:1.'),
  ])
})

test('a server of http keeps its scheme too', () => {
  expect(withScheme('h.example/x', 'http://h.example')).toBe('http://h.example/x')
  expect(withScheme('h.example:80/x', 'http://h.example')).toBe('http://h.example:80/x')
})

test('a link without its scheme, with a word around it, is received from its own server', async () => {
  const server = await rawServer()
  const host = new URL(server.url).host
  for (const pasted of [`${host}/${ID}/f.`, `<${server.url}/${ID}>`, `Take ${host}/${ID}#key.`]) {
    const run = ess(['get', pasted, '-o', '-'], { env: { ESS_SERVER: 'http://127.0.0.1:1' } })
    const connection = await openDownload(server, 'Content-Length: 5')
    expect(connection.text()).toMatch(new RegExp(`^GET /${ID}(?:/f)? HTTP`))
    connection.end('hello')
    expect([await run.status, run.stdout(), run.stderr()]).toEqual([0, 'hello', ''])
  }
})

test('the token goes to no server that a link names without its scheme', async () => {
  const server = await rawServer()
  const env = { ESS_SERVER: 'http://127.0.0.1:1', ESS_TOKEN: 'a-token' }
  const run = ess(['get', `${new URL(server.url).host}/${ID}`, '-o', '-'], { env })
  const connection = await openDownload(server, 'Content-Length: 0')
  expect(connection.text()).not.toMatch(/authorization/i)
  expect(await run.status).toBe(0)
  const own = ess(['get', `${new URL(server.url).host}/${ID}`, '-o', '-'], {
    env: { ...env, ESS_SERVER: server.url },
  })
  expect((await openDownload(server, 'Content-Length: 0')).text()).toMatch(/authorization: Bearer a-token/i)
  expect(await own.status).toBe(0)
})

test('the line of ess send, pasted after ess get, is understood', async () => {
  const server = await rawServer()
  for (const argv of [
    ['get', 'ess', 'get', ID, '--server', server.url, '-o', '-'],
    ['get', `ess get ${ID} --server ${server.url}`, '-o', '-'],
    ['receive', 'ess', 'receive', `${server.url}/${ID}`, '-o', '-'],
  ]) {
    const run = ess(argv)
    ;(await openDownload(server, 'Content-Length: 5')).end('hello')
    expect([await run.status, run.stdout()]).toEqual([0, 'hello'])
  }
})

describe('get -o', () => {
  test.each(['folder', 'folder/', './folder/'])(
    '%s saves under the name that the sender gave',
    async (output) => {
      const server = await rawServer()
      const cwd = await tempDir()
      await mkdir(join(cwd, 'folder'))
      const run = ess(['get', ID, '-o', output, '--server', server.url], { cwd })
      const connection = await openDownload(
        server,
        'Content-Length: 5\r\nContent-Disposition: attachment; filename="a.txt"',
      )
      connection.end('hello')
      expect([await run.status, run.stderr()]).toEqual([0, ''])
      expect(await readFile(join(cwd, 'folder', 'a.txt'), 'utf8')).toBe('hello')
    },
  )

  test('DIR/ that is not there makes no folder and uses no link', async () => {
    const server = await rawServer()
    const run = ess(['get', ID, '-o', 'my folder/', '--server', server.url], { cwd: await tempDir() })
    expect(await run.status).toBe(8)
    expect(run.stderr()).toContain("There is no folder my folder/. To make it, run mkdir -p 'my folder/'")
    expect(server.connections()).toBe(0)
  })

  test('FILE/ says that it is a file, and nothing that cannot work', async () => {
    const server = await rawServer()
    const cwd = await tempDir()
    await writeFile(join(cwd, 'there'), 'old')
    const run = ess(['get', ID, '-o', 'there/', '--server', server.url], { cwd })
    expect(await run.status).toBe(8)
    expect(run.stderr()).toContain('there is a file, not a folder. Choose another folder, or another name')
    expect(run.stderr()).not.toContain('mkdir')
    expect(server.connections()).toBe(0)
  })
})
