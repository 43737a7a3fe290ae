import { expect, test } from 'vitest'
import { type Input, nextStep, type Stage } from '../../../server/broker/lifecycle.js'
import type { ServiceOptions } from '../../../server/index.js'
import { parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../../helpers/raw-peer.js'
import { until } from '../../helpers/within.js'
import { chunk, eventsOf, LAST_CHUNK, type Served, senderHead, serve } from '../serve.js'

/** The stages that a story begins in; in `closed` nothing is left to begin with. */
type Begun = Exclude<Stage, 'closed'>

/** A socket in some stage, and its peers. */
interface Here extends Served {
  /** The path of its download. */
  readonly link: string
  /** The path of its upload resource. */
  readonly upload: string
  /** Follows the upload resource's events. */
  readonly follower: RawPeer
  /** The peer of a stage that has none never connects. */
  readonly sender: RawPeer
  readonly receiver: RawPeer
  /** What happened, in order. */
  readonly log: string[]
  /** Another peer, which has sent this head. */
  ask(target: string, headers?: Readonly<Record<string, string>>): Promise<RawPeer>
  /** Logs the end of what `peer` has read as an answer. */
  logAnswer(name: string, peer: RawPeer): Promise<void>
  /** Logs which events `peer` has read; until its end, unless it goes on. */
  logEvents(name: string, peer: RawPeer, goesOn?: 'goes on'): Promise<void>
}

interface Story {
  readonly from: Begun
  readonly options?: ServiceOptions
  /** The sender's body is a form, whose file has no byte yet. */
  readonly isForm?: true
  readonly act: (here: Here) => Promise<unknown>
  readonly log: readonly string[]
}

const CHUNKED = { 'Transfer-Encoding': 'chunked' }
const FILE_PART = 'Content-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'
const FORM = { ...CHUNKED, 'Content-Type': 'multipart/form-data; boundary=b' }
const SECOND_FILE = chunk(`\r\n--b\r\n${FILE_PART}`)

/** What both ends of a transfer read in the end, and its follower. */
const ALL = async (here: Here) => {
  await here.logEvents('sender', here.sender)
  await here.logEvents('follower', here.follower)
  await here.logAnswer('receiver', here.receiver)
}
const SENDER_AND_FOLLOWER = async (here: Here) => {
  await here.logEvents('sender', here.sender)
  await here.logEvents('follower', here.follower)
}
const FOLLOWER_AND_RECEIVER = async (here: Here) => {
  await here.logEvents('follower', here.follower)
  await here.logAnswer('receiver', here.receiver)
}
const FOLLOWER = async (here: Here) => await here.logEvents('follower', here.follower)

const cancel = async ({ ask, upload }: Here) => {
  const peer = await ask(`DELETE ${upload}`)
  await peer.until(/^HTTP\/1\.1 204 /)
}

/** One for each arrow of the table; its name is the arrow's. */
const STORIES: Readonly<Record<string, Story>> = {
  'sender-arrived in reserved': {
    from: 'reserved',
    act: async (here) => {
      await here.ask(`PUT ${here.upload}`, CHUNKED)
      await here.follower.until(/"waiting"/)
      await here.logEvents('follower', here.follower, 'goes on')
    },
    log: ['reserved', 'opened', 'follower reads: opened, reserved, waiting'],
  },
  'receiver-arrived in reserved': {
    from: 'reserved',
    act: async (here) => {
      const early = await here.ask(`GET ${here.link}`)
      await untilHeld(here, 1)
      here.log.push('a receiver waits')
      const sender = await here.ask(`PUT ${here.upload}`, CHUNKED)
      await sender.write(chunk('hello') + LAST_CHUNK)
      await here.logAnswer('receiver', early)
      await here.logEvents('follower', here.follower)
    },
    log: [
      'reserved',
      'a receiver waits',
      'opened',
      'connected',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, reserved, waiting, connected, delivered',
    ],
  },
  'early-receiver-lost in reserved': {
    from: 'reserved',
    act: async (here) => {
      const early: RawPeer[] = []
      for (let count = 0; count < 8; count++) early.push(await here.ask(`GET ${here.link}`))
      await untilHeld(here, 8)
      here.log.push('eight receivers wait')
      await here.logAnswer('ninth receiver', await here.ask(`GET ${here.link}`))
      early[0]?.reset()
      await untilHeld(here, 7)
      here.log.push('one leaves')
      await here.ask(`GET ${here.link}`)
      await untilHeld(here, 8)
      here.log.push('another one waits')
    },
    log: [
      'reserved',
      'eight receivers wait',
      'refused: busy',
      'ninth receiver gets 409 busy',
      'one leaves',
      'another one waits',
    ],
  },
  'expired in reserved': {
    from: 'reserved',
    options: { ttl: 0.4 },
    act: FOLLOWER,
    log: ['reserved', 'ended: expired', 'follower reads: opened, reserved, failed(expired)'],
  },
  'cancelled in reserved': {
    from: 'reserved',
    act: async (here) => {
      await cancel(here)
      await FOLLOWER(here)
    },
    log: ['reserved', 'ended: cancelled', 'follower reads: opened, reserved, failed(cancelled)'],
  },
  'shutting-down in reserved': {
    from: 'reserved',
    act: async (here) => {
      here.service.stopNow()
      await FOLLOWER(here)
    },
    log: ['reserved', 'ended: shutting-down', 'follower reads: opened, reserved, failed(shutting-down)'],
  },

  'sender-arrived in waiting': {
    from: 'waiting',
    act: async (here) => {
      const second = await here.ask(`PUT ${here.upload}`, CHUNKED)
      await here.logEvents('first sender', here.sender)
      const receiver = await here.ask(`GET ${here.link}`)
      await second.write(chunk('hello') + LAST_CHUNK)
      await here.logAnswer('receiver', receiver)
      await here.logAnswer('second sender', second)
      await here.logEvents('follower', here.follower)
    },
    log: [
      'opened',
      'first sender reads: opened',
      'connected',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'second sender gets 200 "# delivered: 5 bytes"',
      'follower reads: opened, waiting, connected, delivered',
    ],
  },
  'receiver-arrived in waiting': {
    from: 'waiting',
    act: async (here) => {
      await here.ask(`GET ${here.link}`)
      await here.follower.until(/"connected"/)
      await here.logEvents('follower', here.follower, 'goes on')
      await here.logEvents('sender', here.sender, 'goes on')
    },
    log: [
      'opened',
      'connected',
      'follower reads: opened, waiting, connected',
      'sender reads: opened, connected',
    ],
  },
  'expired in waiting': {
    from: 'waiting',
    options: { ttl: 0.4 },
    act: SENDER_AND_FOLLOWER,
    log: [
      'opened',
      'ended: expired',
      'sender reads: opened, failed(expired)',
      'follower reads: opened, waiting, failed(expired)',
    ],
  },
  'sender-lost in waiting': {
    from: 'waiting',
    act: async (here) => {
      here.sender.reset()
      await FOLLOWER(here)
    },
    log: ['opened', 'ended: sender-lost', 'follower reads: opened, waiting, failed(sender-lost)'],
  },
  'bad-request in waiting': {
    from: 'waiting',
    act: async (here) => {
      await here.sender.write('not a chunk\r\n')
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'ended: bad-request',
      'sender reads: opened, failed(bad-request)',
      'follower reads: opened, waiting, failed(bad-request)',
    ],
  },
  'no-file-in-form in waiting': {
    from: 'waiting',
    isForm: true,
    act: async (here) => {
      await here.sender.write(SECOND_FILE)
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'ended: no-file-in-form',
      'sender reads: opened, failed(no-file-in-form)',
      'follower reads: opened, waiting, failed(no-file-in-form)',
    ],
  },
  'cancelled in waiting': {
    from: 'waiting',
    act: async (here) => {
      await cancel(here)
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'ended: cancelled',
      'sender reads: opened, failed(cancelled)',
      'follower reads: opened, waiting, failed(cancelled)',
    ],
  },
  'shutting-down in waiting': {
    from: 'waiting',
    act: async (here) => {
      here.service.stopNow()
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'ended: shutting-down',
      'sender reads: opened, failed(shutting-down)',
      'follower reads: opened, waiting, failed(shutting-down)',
    ],
  },

  'sender-arrived in connected': {
    from: 'connected',
    act: async (here) => {
      const second = await here.ask(`PUT ${here.upload}`, CHUNKED)
      await here.logEvents('first sender', here.sender)
      await second.write(chunk('hello') + LAST_CHUNK)
      await here.logAnswer('receiver', here.receiver)
      await here.logAnswer('second sender', second)
      await here.logEvents('follower', here.follower)
    },
    log: [
      'opened',
      'connected',
      'first sender reads: opened, connected',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'second sender gets 200 "# delivered: 5 bytes"',
      'follower reads: opened, waiting, connected, delivered',
    ],
  },
  'receiver-arrived in connected': {
    from: 'connected',
    act: async (here) => await here.logAnswer('second receiver', await here.ask(`GET ${here.link}`)),
    log: ['opened', 'connected', 'refused: busy', 'second receiver gets 409 busy'],
  },
  'body-began in connected': {
    from: 'connected',
    act: async (here) => {
      await here.sender.write(chunk('he'))
      await here.receiver.until(/he\r\n/)
      here.log.push('receiver reads "he"')
      await here.logAnswer('second sender', await here.ask(`PUT ${here.upload}`, CHUNKED))
    },
    log: [
      'opened',
      'connected',
      'receiver reads "he"',
      'refused: already-open',
      'second sender gets 409 already-open',
    ],
  },
  'sender-lost in connected': {
    from: 'connected',
    act: async (here) => {
      here.sender.reset()
      await FOLLOWER_AND_RECEIVER(here)
    },
    log: [
      'opened',
      'connected',
      'ended: sender-lost',
      'follower reads: opened, waiting, connected, failed(sender-lost)',
      'receiver gets 502 sender-lost',
    ],
  },
  'receiver-lost in connected': {
    from: 'connected',
    act: async (here) => {
      here.receiver.reset()
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'connected',
      'ended: receiver-lost',
      'sender reads: opened, connected, failed(receiver-lost)',
      'follower reads: opened, waiting, connected, failed(receiver-lost)',
    ],
  },
  'bad-request in connected': {
    from: 'connected',
    act: async (here) => {
      await here.sender.write('not a chunk\r\n')
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: bad-request',
      'sender reads: opened, connected, failed(bad-request)',
      'follower reads: opened, waiting, connected, failed(bad-request)',
      'receiver gets 502 sender-lost',
    ],
  },
  'no-file-in-form in connected': {
    from: 'connected',
    isForm: true,
    act: async (here) => {
      await here.sender.write(SECOND_FILE)
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: no-file-in-form',
      'sender reads: opened, connected, failed(no-file-in-form)',
      'follower reads: opened, waiting, connected, failed(no-file-in-form)',
      'receiver gets 502 sender-lost',
    ],
  },
  'too-large in connected': {
    from: 'connected',
    options: { maxUploadBytes: 5 },
    act: async (here) => {
      await here.sender.write(chunk('hello!'))
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: too-large',
      'sender reads: opened, connected, failed(too-large)',
      'follower reads: opened, waiting, connected, failed(too-large)',
      'receiver gets 502 sender-lost',
    ],
  },
  'stalled in connected': {
    from: 'connected',
    options: { stallTimeout: 0.3 },
    act: ALL,
    log: [
      'opened',
      'connected',
      'ended: stalled',
      'sender reads: opened, connected, failed(stalled)',
      'follower reads: opened, waiting, connected, failed(stalled)',
      'receiver gets 504 stalled',
    ],
  },
  'cancelled in connected': {
    from: 'connected',
    act: async (here) => {
      await cancel(here)
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: cancelled',
      'sender reads: opened, connected, failed(cancelled)',
      'follower reads: opened, waiting, connected, failed(cancelled)',
      'receiver gets 410 cancelled',
    ],
  },
  'shutting-down in connected': {
    from: 'connected',
    act: async (here) => {
      here.service.stopNow()
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: shutting-down',
      'sender reads: opened, connected, failed(shutting-down)',
      'follower reads: opened, waiting, connected, failed(shutting-down)',
      'receiver gets 503 shutting-down',
    ],
  },

  'sender-arrived in streaming': {
    from: 'streaming',
    act: async (here) => await here.logAnswer('second sender', await here.ask(`PUT ${here.upload}`, CHUNKED)),
    log: ['opened', 'connected', 'refused: already-open', 'second sender gets 409 already-open'],
  },
  'receiver-arrived in streaming': {
    from: 'streaming',
    act: async (here) => await here.logAnswer('second receiver', await here.ask(`GET ${here.link}`)),
    log: ['opened', 'connected', 'refused: busy', 'second receiver gets 409 busy'],
  },
  'delivered in streaming': {
    from: 'streaming',
    act: async (here) => {
      await here.sender.write(LAST_CHUNK)
      await here.logAnswer('receiver', here.receiver)
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'connected',
      'receiver gets 200 "he"',
      'ended: delivered',
      'sender reads: opened, connected, delivered',
      'follower reads: opened, waiting, connected, delivered',
    ],
  },
  'sender-lost in streaming': {
    from: 'streaming',
    act: async (here) => {
      here.sender.reset()
      await FOLLOWER_AND_RECEIVER(here)
    },
    log: [
      'opened',
      'connected',
      'ended: sender-lost',
      'follower reads: opened, waiting, connected, failed(sender-lost)',
      'receiver is reset',
    ],
  },
  'receiver-lost in streaming': {
    from: 'streaming',
    act: async (here) => {
      here.receiver.reset()
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'connected',
      'ended: receiver-lost',
      'sender reads: opened, connected, failed(receiver-lost)',
      'follower reads: opened, waiting, connected, failed(receiver-lost)',
    ],
  },
  'bad-request in streaming': {
    from: 'streaming',
    act: async (here) => {
      await here.sender.write('not a chunk\r\n')
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: bad-request',
      'sender reads: opened, connected, failed(bad-request)',
      'follower reads: opened, waiting, connected, failed(bad-request)',
      'receiver is reset',
    ],
  },
  'no-file-in-form in streaming': {
    from: 'streaming',
    isForm: true,
    act: async (here) => {
      await here.sender.write(SECOND_FILE)
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: no-file-in-form',
      'sender reads: opened, connected, failed(no-file-in-form)',
      'follower reads: opened, waiting, connected, failed(no-file-in-form)',
      'receiver is reset',
    ],
  },
  'too-large in streaming': {
    from: 'streaming',
    options: { maxUploadBytes: 5 },
    act: async (here) => {
      await here.sender.write(chunk('llo!'))
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: too-large',
      'sender reads: opened, connected, failed(too-large)',
      'follower reads: opened, waiting, connected, failed(too-large)',
      'receiver is reset',
    ],
  },
  'stalled in streaming': {
    from: 'streaming',
    options: { stallTimeout: 0.3 },
    act: ALL,
    log: [
      'opened',
      'connected',
      'ended: stalled',
      'sender reads: opened, connected, failed(stalled)',
      'follower reads: opened, waiting, connected, failed(stalled)',
      'receiver is reset',
    ],
  },
  'cancelled in streaming': {
    from: 'streaming',
    act: async (here) => {
      await cancel(here)
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: cancelled',
      'sender reads: opened, connected, failed(cancelled)',
      'follower reads: opened, waiting, connected, failed(cancelled)',
      'receiver is reset',
    ],
  },
  'shutting-down in streaming': {
    from: 'streaming',
    act: async (here) => {
      here.service.stopNow()
      await ALL(here)
    },
    log: [
      'opened',
      'connected',
      'ended: shutting-down',
      'sender reads: opened, connected, failed(shutting-down)',
      'follower reads: opened, waiting, connected, failed(shutting-down)',
      'receiver is reset',
    ],
  },

  'sender-arrived in closed': {
    from: 'reserved',
    act: async (here) => {
      // Its file has not been found when the reservation ends.
      const late = await here.ask(`PUT ${here.upload}`, { ...FORM, Expect: '100-continue' })
      await late.until(/^HTTP\/1\.1 100 /)
      await cancel(here)
      await late.write(chunk(`--b\r\n${FILE_PART}`))
      await late.until(/\r\n\r\nHTTP\/1\.1 410 .* \[gone\]\n$/s)
      here.log.push('late sender gets 410 gone')
    },
    log: ['reserved', 'ended: cancelled', 'refused: gone', 'late sender gets 410 gone'],
  },
  'receiver-arrived in closed': {
    from: 'reserved',
    act: async (here) => {
      const early = await here.ask(`GET ${here.link}`)
      await untilHeld(here, 1)
      here.log.push('a receiver waits')
      await cancel(here)
      await here.logAnswer('receiver', early)
    },
    log: ['reserved', 'a receiver waits', 'ended: cancelled', 'refused: gone', 'receiver gets 410 gone'],
  },
}

/** A bug of the relay's, or a server that is out of descriptors: nothing that a peer can bring about. */
const UNREACHED = ['internal-error in connected', 'internal-error in streaming']

const STAGES = ['reserved', 'waiting', 'connected', 'streaming', 'closed'] satisfies Stage[]
// A record, because the compiler then misses an input that the list could miss too.
const INPUTS = {
  'sender-arrived': true,
  'receiver-arrived': true,
  'early-receiver-lost': true,
  'body-began': true,
  delivered: true,
  expired: true,
  'sender-lost': true,
  'receiver-lost': true,
  'bad-request': true,
  'no-file-in-form': true,
  'too-large': true,
  stalled: true,
  'internal-error': true,
  cancelled: true,
  'shutting-down': true,
} satisfies Record<Input, true>

test('every arrow of the table has its story', () => {
  const arrows = STAGES.flatMap((stage) =>
    // Object.keys gives string[]; the record's type makes them inputs.
    (Object.keys(INPUTS) as Input[])
      .filter((input) => nextStep(stage, input) !== 'ignored')
      .map((input) => `${input} in ${stage}`),
  )
  expect([...Object.keys(STORIES), ...UNREACHED].sort()).toEqual(arrows.sort())
})

test.each(Object.entries(STORIES))('%s', async (_name, story) => {
  const here = await bring(story)
  await story.act(here)
  expect(here.log).toEqual(story.log)
})

test('a sender that began again while it waited is missed when it leaves', async () => {
  const here = await bring({ from: 'waiting' })
  const second = await here.ask(`PUT ${here.upload}`, CHUNKED)
  await here.logEvents('first sender', here.sender)
  second.reset()
  await here.logEvents('follower', here.follower)
  expect(here.log).toEqual([
    'opened',
    'first sender reads: opened',
    'ended: sender-lost',
    'follower reads: opened, waiting, failed(sender-lost)',
  ])
})

test('a sender that leaves after its last byte takes nothing from the receiver', async () => {
  const here = await bring({ from: 'streaming' })
  await here.sender.write(LAST_CHUNK)
  expect(await here.receiver.ending()).toBe('fin')
  here.sender.reset()
  // A connection that was made later is answered later: the reset has been met by then.
  await (await here.ask('GET /health')).until(/"ok"/)
  expect(here.log).toEqual(['opened', 'connected'])
  await here.logAnswer('receiver', here.receiver)
  expect(here.log).toEqual(['opened', 'connected', 'receiver gets 200 "he"', 'ended: delivered'])
})

test('a listener that cancels a transfer as its receiver comes ends it for all', async () => {
  const here = await bring({ from: 'waiting' })
  here.service.on('socket:connected', ({ id }) => here.service.cancel(id))
  await here.sender.write(chunk('hello') + LAST_CHUNK)
  await here.logAnswer('receiver', await here.ask(`GET ${here.link}`))
  await SENDER_AND_FOLLOWER(here)
  expect(here.log).toEqual([
    'opened',
    'connected',
    'ended: cancelled',
    'receiver gets 410 cancelled',
    'sender reads: opened, failed(cancelled)',
    'follower reads: opened, waiting, failed(cancelled)',
  ])
})

/** A socket in the stage where the story begins. */
async function bring({ from, options, isForm }: Omit<Story, 'act' | 'log'>): Promise<Here> {
  const served = await serve({ reservations: true, ...options })
  const log: string[] = []
  const { service, port } = served
  service.on('socket:reserved', () => log.push('reserved'))
  service.on('socket:opened', () => log.push('opened'))
  service.on('socket:connected', () => log.push('connected'))
  for (const event of ['socket:end', 'socket:timeout', 'error:socket'] as const)
    service.on(event, (_socket, { outcome }) => log.push(`ended: ${outcome}`))
  service.on('request:refused', ({ code }) => log.push(`refused: ${code}`))

  const first = await connectRaw(port)
  if (from === 'reserved') await first.write(requestHead('POST /reserve', { Accept: 'application/json' }))
  else await first.write(senderHead(isForm ? { headers: FORM } : {}) + (isForm ? firstPart() : ''))
  const [, id = '', upload = ''] = await first.until(/"id":"([^"]+)".*"upload":"http:\/\/localhost([^"]+)"/)
  const link = `/${id}`
  const follower = await ask(`GET ${upload}/events`, { Accept: 'application/x-ndjson' })
  await follower.until(from === 'reserved' ? /"reserved"/ : /"waiting"/)
  const here = { ...served, log, link, upload, follower, sender: first, ask, logAnswer, logEvents }
  if (from === 'reserved' || from === 'waiting') return { ...here, receiver: first }
  const receiver = await ask(`GET ${link}`)
  await first.until(/"connected"/)
  await follower.until(/"connected"/)
  if (from === 'streaming') {
    await first.write(chunk('he'))
    await receiver.until(/he\r\n/)
  }
  return { ...here, receiver }

  async function ask(target: string, headers: Readonly<Record<string, string>> = {}): Promise<RawPeer> {
    const peer = await connectRaw(port)
    await peer.write(requestHead(target, headers))
    return peer
  }

  async function logAnswer(name: string, peer: RawPeer): Promise<void> {
    if ((await peer.ending()) === 'rst') {
      log.push(`${name} is reset`)
      return
    }
    const { status, body } = parseAnswer(peer.text())
    const said = status === 200 ? JSON.stringify(body.trimEnd()) : /\[([a-z-]+)\]\n$/.exec(body)?.[1]
    log.push(`${name} gets ${status} ${said}`)
    peer.end()
    if (name === 'receiver' && status === 200)
      await until('the delivery is reported', () => log.includes('ended: delivered'))
  }

  async function logEvents(name: string, peer: RawPeer, goesOn?: 'goes on'): Promise<void> {
    if (goesOn === undefined) expect(await peer.ending()).toBe('fin')
    const events = eventsOf(peer)
      .filter(({ event }) => event !== 'progress')
      .map((event) =>
        event.event === 'failed' ? `failed(${event.problem.type.split(':').at(-1)})` : event.event,
      )
    log.push(`${name} reads: ${events.join(', ')}`)
  }
}

/** The beginning of a form: the head of its file's part. */
function firstPart(): string {
  return chunk(`--b\r\n${FILE_PART}`)
}

/** Waits until so many receivers wait for the sender: with the reservation and the follower, shares of their client. */
async function untilHeld({ service }: Here, receivers: number): Promise<void> {
  // A socket, a reservation, and a follower.
  await until(`${receivers} receivers wait`, () => service.counts().held === 3 + receivers)
}
