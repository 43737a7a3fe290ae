import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { download, send } from '../../client/index.js'
import type { StatusEvent } from '../../shared/index.js'
import { bytesOf, sha256 } from '../helpers/bytes.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { startTcpProxy } from '../helpers/tcp-proxy.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

/** More than what the kernels hold of it. */
const SIZE = 12_000_000

test('a server that falls silent as the transfer begins, for the next connections too, has it all in the end', async () => {
  const server = await startServerHere('--resume-within', '60')
  const content = bytesOf(SIZE)
  const path = join(await tempDir(), 'file.bin')
  await writeFile(path, content)
  const proxy = await startTcpProxy(server.port)
  onTestFinished(() => proxy.close())
  const sending = send(path, { server: `http://127.0.0.1:${proxy.port}` })
  const events: StatusEvent[] = []
  const reading = (async () => {
    for await (const event of sending) events.push(event)
  })()
  reading.catch(() => {})
  await until('the link is there', () => events.some(({ event }) => event === 'opened'))
  const opened = events.find((event) => event.event === 'opened')
  // Before the sender hears of a byte that has arrived.
  const struck = proxy.arm({ kind: 'black-hole' }, 'up', 1000)
  const to = join(await tempDir(), 'copy')
  const received = download(opened?.id ?? '', { server: server.url, to: { file: to } })
  await within(DEADLINE_MS, 'the silence', struck)
  // First it takes this for a proxy that holds the body back, and sends by a request that is not answered either.
  const isLost = () => events.some((event) => event.event === 'interrupted' && event.side === 'sender')
  await until('the sender takes its connection for lost', isLost, 3 * DEADLINE_MS)
  await proxy.close()
  const again = await startTcpProxy(server.port, proxy.port)
  onTestFinished(() => again.close())
  await within(2 * DEADLINE_MS, 'the download is whole', received)
  expect(sha256(await readFile(to))).toBe(sha256(content))
  await within(DEADLINE_MS, 'the verdict', reading)
  expect(await sending.verdict).toMatchObject({ event: 'delivered', confirmed: true })
}, 120_000)
