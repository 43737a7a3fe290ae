import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { send } from '../../client/index.js'
import { bytesOf } from './bytes.js'
import { startServerHere } from './start-server-here.js'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js'
import { tempDir } from './temp-dir.js'
import { until } from './within.js'

/** More than all the buffers between here and a receiver hold, so that the server sees a cut before it has sent all. */
const CONTENT = bytesOf(20_000_003)

/** A file whose sender can go back to any byte of it, behind a proxy that can cut its receivers off. */
export interface OfferedFile {
  /** The link, through the proxy. */
  readonly url: string
  readonly proxy: TcpProxy
  readonly content: Buffer
  /** What the sender was told so far: the events by their names, but for the progress; `rewind to N`. */
  readonly told: readonly string[]
  /** The sender gives up. Fulfilled when the server knows. */
  stop(): Promise<void>
}

/** Offers a file on a server of its own, which waits 20 s for a peer that is away. */
export async function offerFile(): Promise<OfferedFile> {
  const server = await startServerHere('--resume-within', '20')
  const proxy = await startTcpProxy(server.port)
  onTestFinished(() => proxy.close())
  const path = join(await tempDir(), 'file.bin')
  await writeFile(path, CONTENT)
  const abort = new AbortController()
  const sending = send(path, { server: server.url, signal: abort.signal })
  const told: string[] = []
  let url = ''
  const reading = (async () => {
    for await (const event of sending) {
      if (event.event === 'opened') url = event.url
      if (event.event === 'rewind') told.push(`rewind to ${event.offset}`)
      else if (event.event !== 'progress') told.push(event.event)
    }
  })()
  // How it ends is what `told` is for; a sender that is stopped rejects.
  const ended = Promise.allSettled([reading, sending.verdict])
  onTestFinished(async () => {
    abort.abort()
    await ended
  })
  await until('the link is there', () => url !== '')
  return {
    url: url.replace(`:${server.port}/`, `:${proxy.port}/`),
    proxy,
    content: CONTENT,
    told,
    stop: async () => {
      abort.abort()
      await until('the link is gone', async () => (await fetch(url, { method: 'HEAD' })).status === 410)
    },
  }
}
