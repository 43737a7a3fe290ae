import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { download, get } from '../../../client/index.js'
import { EssError, toProblem } from '../../../shared/index.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

const ID = 'AbCdEfGhIjKl'
const HEAD = {
  'Content-Type': 'application/octet-stream',
  'Content-Disposition': 'attachment; filename="f"',
  'Accept-Ranges': 'bytes',
  ETag: `"${ID}"`,
}

/** A server that cuts the connection after `hello`, and then refuses the rest so many times. */
async function serverThatCountsLate(refusals: number): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  let left = refusals
  const answer = ({ method, headers }: IncomingMessage, response: ServerResponse) => {
    asked.push(`${method} ${headers.range ?? 'all'}`)
    if (method !== 'GET') response.writeHead(200, { ...HEAD, 'Content-Length': 10 }).end()
    else if (headers.range === undefined) {
      response.writeHead(200, { ...HEAD, 'Content-Length': 10 })
      response.write('hello', () => setTimeout(() => response.destroy(), 50))
    } else if (left-- > 0) {
      const body = JSON.stringify(toProblem(new EssError('whole-only', 'A link gives the whole file.')))
      response.writeHead(409, { 'Content-Type': 'application/problem+json' }).end(body)
    } else
      response.writeHead(206, { ...HEAD, 'Content-Range': 'bytes 5-9/10', 'Content-Length': 5 }).end('world')
  }
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('a TCP server has a port')
  return { url: `http://127.0.0.1:${address.port}/${ID}`, asked }
}

test('a part that is refused because the server counts late is asked for again', async () => {
  const { url, asked } = await serverThatCountsLate(2)
  const file = join(await tempDir(), 'f')
  await within(DEADLINE_MS, 'the download', download(url, { to: { file } }))
  expect(await readFile(file, 'utf8')).toBe('helloworld')
  expect(asked.filter((one) => one === 'GET bytes=5-')).toHaveLength(3)
})

test('so it is for a stream', async () => {
  const { url } = await serverThatCountsLate(1)
  const stream = await get(url)
  const pieces: Buffer[] = []
  for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece)
  expect(Buffer.concat(pieces).toString()).toBe('helloworld')
})

test('a part that is refused for good fails the download soon', async () => {
  const { url } = await serverThatCountsLate(Number.POSITIVE_INFINITY)
  const file = join(await tempDir(), 'f')
  const failed = download(url, { to: { file } }).catch((error: unknown) => error)
  expect(await within(DEADLINE_MS, 'the failure', failed)).toMatchObject({ code: 'incomplete' })
})
