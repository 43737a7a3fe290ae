import { expect, onTestFinished, test } from 'vitest'
import { connectHttp2 } from '../faults/http2-peer.js'
import type { OutgoingFile, Peer } from '../faults/peer.js'
import { eventsOf } from '../faults/views.js'
import { certificate } from '../helpers/certificate.js'
import { needs } from '../helpers/needs.js'
import { runCurl } from '../helpers/run-curl.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { until } from '../helpers/within.js'

/** Long enough for a receiver to read a few bytes and to close its connection. */
const BUSY_MS = 100
const AS_EVENTS = { Accept: 'application/x-ndjson' }

/** Keeps this process, and so the server in it, busy between what it has written and what it reads next. */
function beBusy(): () => void {
  const burning = setInterval(() => {
    const end = performance.now() + BUSY_MS
    while (performance.now() < end);
  }, 1)
  const rest = () => clearInterval(burning)
  onTestFinished(rest)
  return rest
}

function fileOf(content: string): OutgoingFile {
  return { firstHalf: Buffer.from(content), secondHalf: Buffer.alloc(0), isDeclared: false }
}

async function connect(port: number): Promise<Peer> {
  const peer = await connectHttp2(port)
  onTestFinished(() => peer.destroy())
  return peer
}

test('a receiver that is gone with the last chunk, before the server hears that it is out, has the file', async (context) => {
  needs(context, 'curl')
  const { path, keyPath } = await certificate()
  const { port } = await startServerHere('--resume-within', '60', '--tls-cert', path, '--tls-key', keyPath)
  const first = await connect(port)
  first.request({
    method: 'PUT',
    path: '/',
    headers: { ...AS_EVENTS, 'Ess-Resume': 'rewind' },
    file: fileOf('hello'),
  })
  const opened = await until('the link is there', () =>
    eventsOf(first.answer()).find((event) => event.event === 'opened'),
  )
  if (opened.event !== 'opened' || opened.upload === undefined) throw new Error('Expected an upload resource')
  const upload = new URL(opened.upload).pathname
  const receiver = await runCurl(['-k', '--http1.1', opened.url])
  first.sendTo('midway')
  await receiver.untilStdout(/hello/)
  first.destroy()
  await until('the sender is missed', async () => {
    const looking = await connect(port)
    looking.request({ method: 'HEAD', path: upload })
    await until('the server says where to go on', () => looking.answer()?.isComplete)
    return looking.answer()?.status === 204
  })
  // The receiver lacks the end alone. A sender over HTTP/2 is believed in a later turn, because the kernel can't say that it
  // is there; the end is written there, and by TLS the server hears that it is out one more turn later. Between the two, it
  // reads the receiver's own end.
  const rest = beBusy()
  const fields = ['Content-Type: application/partial-upload', 'Upload-Offset: 5', 'Upload-Complete: ?1']
  const headers = fields.flatMap((field) => ['-H', field])
  const next = await runCurl(['-k', '--http2', '-X', 'PATCH', '-d', '', ...headers, opened.upload])
  expect(await receiver.ended()).toMatchObject({ code: 0, stderr: '' })
  const { code, stdout } = await next.ended()
  rest()
  expect({ code, told: stdout.toString() }).toMatchObject({
    code: 0,
    told: expect.stringMatching(/delivered/i),
  })
})
