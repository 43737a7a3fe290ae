import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { ess } from '../helpers/client-io.js'
import { rawServer } from '../helpers/client-raw-server.js'
import { acceptGet, downloadHead, ID, LAST_CHUNK, openUpload, problem, tell } from '../helpers/client-wire.js'
import { run } from '../helpers/run.js'

test('what the receiver has not confirmed is no success for a script', async () => {
  const server = await rawServer()
  const run = ess(['send', '--server', server.url], { stdin: new PassThrough().end('piped') })
  const connection = await openUpload(server)
  tell(connection, { event: 'connected' })
  await connection.until(/0\r\n\r\n$/)
  tell(connection, { event: 'delivered', bytes: 5, confirmed: false })
  connection.end(LAST_CHUNK)
  expect(await run.status).toBe(7)
  expect(run.stderr()).toBe(
    'ess: All 5 B went out, but the receiver has not confirmed that they arrived. Ask the receiver whether the file is whole. [unconfirmed]\n',
  )
})

test.each([
  {
    what: 'breaks in the packet that began it',
    answer:
      'HTTP/1.1 201 Created\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
  },
  {
    what: 'is an upgrade',
    answer: 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  },
])('an answer that $what ends with a status of ours', async ({ answer }) => {
  const server = await rawServer()
  const run = ess(['send', '--server', server.url], { stdin: new PassThrough().end('piped') })
  const connection = await server.accept()
  await connection.until(/\r\n\r\n/)
  connection.write(answer)
  expect(await run.status).toBe(6)
  expect(run.stderr()).toMatch(/^ess: .* \[not-ess\]\n$/)
})

test.each(['chunked, gzip', 'x-chunked', 'identity;chunked'])(
  'a download in the transfer coding %s proves nothing by its end',
  async (coding) => {
    const server = await rawServer()
    const run = ess(['get', `${server.url}/AbCdEfGhIjKl`, '-o', '-'])
    const connection = await acceptGet(server)
    connection.end(
      `HTTP/1.1 200 OK\r\nETag: "AbCdEfGhIjKl"\r\nContent-Disposition: attachment\r\nTransfer-Encoding: ${coding}\r\n\r\nhello`,
    )
    expect(await run.status).toBe(5)
    expect(run.stderr()).toMatch(/^ess: .* \[incomplete\]\n$/)
  },
)

const LIMITED = problem(429, 'over-share', 'you have your share')

test.each([
  {
    of: 'a server',
    answer: again(LIMITED, '90'),
    says: 'you have your share. Try again in 1 min 30 s. [over-share]',
  },
  { of: 'a server that says no time', answer: LIMITED, says: 'you have your share [over-share]' },
  {
    of: 'a server of a later version',
    answer: again(problem(429, 'too-many-moons', 'not tonight'), '5'),
    says: 'not tonight. Try again in 5 s. [too-many-requests]',
  },
  {
    of: 'a proxy in front',
    answer: again('HTTP/1.1 429 Slow\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno', '5'),
    says: 'URL takes no more requests for now (HTTP 429). Try again in 5 s. [too-many-requests]',
  },
  // A date (RFC 9110, 10.2.3), and what is nothing.
  ...['Fri, 31 Dec 2038 23:59:59 GMT', '-5', '1e99', 'soon'].map((time) => ({
    of: `a server that says ${time}`,
    answer: again(LIMITED, time),
    says: 'you have your share [over-share]',
  })),
])('a 429 of $of says when to try again, and exits with 6', async ({ answer, says }) => {
  for (const command of ['send', 'get'] as const) {
    const server = await rawServer()
    const operands = command === 'send' ? [] : ['AbCdEfGhIjKl', '-o', '-']
    const run = ess([command, '--server', server.url, ...operands], { stdin: new PassThrough().end('piped') })
    const connection = await (command === 'send' ? server.accept() : acceptGet(server))
    if (command === 'send') await connection.until(/\r\n\r\n/)
    connection.end(answer)
    expect(await run.status).toBe(6)
    expect(run.stderr()).toBe(`ess: ${says.replace('URL', server.url)}\n`)
  }
})

/** The same answer with a `Retry-After`. */
function again(answer: string, time: string): string {
  return answer.replace('\r\n', `\r\nRetry-After: ${time}\r\n`)
}

test.each([
  ['exits', 'process.exit(3)', 3],
  ['awaits what never comes', '', 13],
])(
  'a program that %s before its download is in its place has not said that it is',
  async (_what, does, status) => {
    const server = await rawServer()
    const script = `
    import { Writable } from 'node:stream'
    import { download } from ${JSON.stringify(new URL('../../dist/client/index.js', import.meta.url).href)}
    const stream = new Writable({ write(bytes) { console.log(String(bytes)); ${does} } })
    await download(process.argv[1], { to: { stream } })`
    const args = ['--input-type=module', '-e', script, `${server.url}/${ID}`]
    const program = await run('a download that is left', process.execPath, args)
    const connection = await acceptGet(server)
    // With the server's FIN behind it, so that there is nothing of which the kernel would see that it was not read.
    connection.end(`${downloadHead('Content-Length: 5')}hello`)
    expect(await connection.ending()).toBe('rst')
    expect(await program.ended()).toMatchObject({ code: status })
    expect(program.stdout()).toBe('hello\n')
  },
)
