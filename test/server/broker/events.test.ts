import { expect, test } from 'vitest'
import type { Outcome } from '../../../server/broker/lifecycle.js'
import type { ServiceOptions } from '../../../server/index.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import {
  chunk,
  connectReceiver,
  eventsOf,
  LAST_CHUNK,
  openSender,
  type RawSender,
  type SenderRequest,
  type Served,
  serve,
  untilEnded,
} from '../serve.js'

/** The event that ends a socket; `error:socket` for all other outcomes. */
const TERMINAL: Partial<Record<Outcome, string>> = { delivered: 'socket:end', expired: 'socket:timeout' }

interface Story {
  readonly outcome: Outcome
  readonly when: string
  readonly options?: ServiceOptions
  readonly request?: SenderRequest
  /** Bytes that have been handed to the receiver by then. */
  readonly bytes: number
  readonly tell: (sender: RawSender, served: Served) => Promise<void>
}

/** A receiver that has read `text` from the sender. */
async function receiveSome(sender: RawSender, served: Served, text: string) {
  const receiver = await connectReceiver(served.port, sender)
  await sender.write(chunk(text))
  await receiver.until(new RegExp(text))
  return receiver
}

const STORIES: readonly Story[] = [
  {
    outcome: 'delivered',
    when: 'a receiver read everything',
    bytes: 10,
    tell: async (sender, served) => {
      const receiver = await receiveSome(sender, served, 'half a ...')
      await sender.write(LAST_CHUNK)
      await receiver.until(/0\r\n\r\n$/)
      receiver.end()
    },
  },
  {
    outcome: 'delivered',
    when: 'there was nothing to read',
    request: { length: 0 },
    bytes: 0,
    tell: async (sender, { port }) => {
      const receiver = await connectReceiver(port, sender)
      await receiver.ending()
      receiver.end()
    },
  },
  {
    outcome: 'receiver-lost',
    when: 'the receiver left midway',
    bytes: 4,
    tell: async (sender, served) => (await receiveSome(sender, served, 'half')).reset(),
  },
  {
    outcome: 'sender-lost',
    when: 'the sender left while it waited',
    bytes: 0,
    tell: async (sender) => sender.reset(),
  },
  {
    outcome: 'sender-lost',
    when: 'the sender left midway',
    bytes: 4,
    tell: async (sender, served) => {
      await receiveSome(sender, served, 'half')
      sender.reset()
    },
  },
  {
    outcome: 'sender-lost',
    when: 'the sender closed its half before its body was whole',
    bytes: 4,
    tell: async (sender, served) => {
      await receiveSome(sender, served, 'half')
      sender.end()
    },
  },
  {
    outcome: 'bad-request',
    when: "the framing of the sender's body broke midway",
    bytes: 4,
    tell: async (sender, served) => {
      await receiveSome(sender, served, 'half')
      await sender.write('not a chunk\r\n')
    },
  },
  { outcome: 'expired', when: 'nobody came', options: { ttl: 0.05 }, bytes: 0, tell: async () => {} },
  {
    outcome: 'too-large',
    when: 'a chunked body went over the limit',
    options: { maxUploadBytes: 4 },
    bytes: 4,
    tell: async (sender, served) => {
      await receiveSome(sender, served, 'half')
      await sender.write(chunk('!'))
    },
  },
  {
    outcome: 'stalled',
    when: 'the sender sent nothing for too long',
    options: { stallTimeout: 0.5 },
    bytes: 4,
    tell: async (sender, served) => {
      await receiveSome(sender, served, 'half')
    },
  },
  {
    outcome: 'shutting-down',
    when: 'the server stopped while it waited',
    bytes: 0,
    tell: async (_sender, { broker }) => broker.stop(60_000),
  },
  {
    outcome: 'shutting-down',
    when: 'the server stopped, and the time of the running ones was over',
    bytes: 4,
    tell: async (sender, served) => {
      await receiveSome(sender, served, 'half')
      await served.broker.stop(0)
    },
  },
]

test.each(STORIES)('a socket ends once, as $outcome, when $when', async (story) => {
  const served = await serve(story.options)
  const phases: string[] = []
  served.service.on('socket:opened', ({ phase }) => phases.push(`opened: ${phase}`))
  served.service.on('socket:connected', ({ phase }) => phases.push(`connected: ${phase}`))
  for (const event of ['socket:end', 'socket:timeout', 'error:socket'] as const) {
    served.service.on(event, ({ phase }) => phases.push(`${event}: ${phase}`))
  }
  const sender = await openSender(served.port, { target: 'PUT /name.txt', ...story.request })
  await story.tell(sender, served)
  await untilEnded(served)
  // Late inputs change nothing: both peers have gone, and a polite stop finds nobody.
  sender.reset()
  await served.server.stop(0)

  expect(served.opened).toMatchObject([
    { id: sender.id, fileName: 'name.txt', contentLength: story.request?.length },
  ])
  const isDelivered = story.outcome === 'delivered'
  const middle = phases.slice(1, -1)
  expect(served.ends).toEqual([
    {
      id: sender.id,
      outcome: story.outcome,
      error: isDelivered ? undefined : expect.objectContaining({ code: story.outcome }),
      bytes: story.bytes,
      confirmed: isDelivered,
      gear: middle.length > 0 ? expect.stringMatching(/^(?:streams|sockets|splice)$/) : undefined,
      durationMs: expect.toSatisfy((ms: number) => ms >= 0 && ms < 60_000),
      firstByteMs: story.bytes > 0 ? expect.toSatisfy((ms: number) => ms >= 0 && ms < 60_000) : undefined,
    },
  ])
  expect(phases.at(0)).toBe('opened: waiting')
  expect(phases.at(-1)).toBe(`${TERMINAL[story.outcome] ?? 'error:socket'}: closed`)
  expect(['', 'connected: streaming']).toContain(middle.join())
  expect(served.service.counts()).toMatchObject({ sockets: 0, awaiting: 0 })
})

test.each(STORIES.filter(({ when }) => !/the sender left/.test(when)))(
  'the sender reads one verdict, $outcome, when $when',
  async (story) => {
    const served = await serve(story.options)
    const sender = await openSender(served.port, story.request)
    await story.tell(sender, served)
    expect(await sender.ending()).toBe('fin')
    const verdicts = eventsOf(sender).filter(({ event }) => event === 'delivered' || event === 'failed')
    const problem = { type: `urn:ess:problem:${story.outcome}` }
    expect(verdicts).toMatchObject([
      story.outcome === 'delivered'
        ? { event: 'delivered', bytes: story.bytes, confirmed: true }
        : { event: 'failed', bytes: story.bytes, problem },
    ])
    expect(eventsOf(sender).at(-1)).toEqual(verdicts[0])
    // Only a success ends with the last chunk.
    expect(sender.text().endsWith(LAST_CHUNK)).toBe(story.outcome === 'delivered')
  },
)

test('a refused request is one event with the code of its problem, and no socket', async () => {
  const served = await serve({ maxUploadBytes: 4 })
  await exchange(served.port, requestHead('POST /', { 'Content-Length': '5' }))
  await exchange(served.port, requestHead('GET /abcdefghijkl'))
  await exchange(served.port, requestHead('PATCH /abcdefghijkl'))
  expect(served.refused).toEqual(['too-large', 'not-found', 'method-not-allowed'])
  expect(served.opened).toEqual([])
})
