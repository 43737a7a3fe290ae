import { expect, test } from 'vitest'
import { type Input, nextStep, type Stage } from '../../../server/broker/lifecycle.js'
import type { ServiceOptions } from '../../../server/index.js'
import { parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../../helpers/raw-peer.js'
import { until } from '../../helpers/within.js'
import { chunk, eventsOf, LAST_CHUNK, type Served, senderHead, serve, serveNodes } from '../serve.js'

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
  /** The sender can go on by another request, as far as this says. Its file is `hello`. */
  readonly ability?: string
  /** The service is a node of a cluster. */
  readonly isNode?: true
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
const UNREACHED = [
  'internal-error in connected',
  'internal-error in streaming',
  'internal-error in between',
  'internal-error in sender-away',
  'internal-error in rewinding',
]

/** A receiver that was cut says that it has everything: `test/server/receivers-word.test.ts` has their stories. */
const BY_WORD = ['delivered in receiver-away', 'delivered in both-away']

/** A node opens a link again that another one had: `test/server/nodes/moved.test.ts` has their stories. */
const BY_REOPENING = ['reopened in reserved', 'reopened-midway in reserved']

/** What each side is told when its node stops and the transfer goes on at another one, by the stage; from the last event on. */
const MOVES: Readonly<Partial<Record<Begun, readonly string[]>>> = {
  reserved: ['follower reads: opened, reserved, moved'],
  waiting: ['sender reads: opened, moved', 'follower reads: opened, waiting, moved'],
  connected: [
    'sender reads: opened, connected, moved',
    'follower reads: opened, waiting, connected, moved',
    'receiver gets 503 node-away',
  ],
  streaming: [
    'sender reads: opened, connected, moved',
    'follower reads: opened, waiting, connected, moved',
    'receiver is reset',
  ],
  between: ['follower reads: opened, reserved, waiting, connected, moved', 'receiver is reset'],
  absent: ['follower reads: opened, waiting, interrupted, moved'],
  'sender-away': ['follower reads: opened, waiting, connected, interrupted, moved', 'receiver is reset'],
  rewinding: [
    'follower reads: opened, waiting, connected, interrupted, rewind, moved',
    'receiver gets 503 node-away',
  ],
  'receiver-away': [
    'sender reads: opened, connected, interrupted, moved',
    'follower reads: opened, waiting, connected, interrupted, moved',
  ],
  'both-away': ['follower reads: opened, waiting, connected, interrupted, interrupted, moved'],
}

const MOVED = Object.keys(MOVES).map((stage) => `moved in ${stage}`)

/** The head of a request with the rest of the file. */
const restFrom = (offset: number, isLast = true) => ({
  'Content-Type': 'application/partial-upload',
  'Upload-Offset': String(offset),
  'Upload-Complete': isLast ? '?1' : '?0',
  'Content-Length': String(5 - offset),
})
const goOn = async (here: Here, offset: number, upload = here.upload) => {
  const peer = await here.ask(`PATCH ${upload}`, restFrom(offset))
  await peer.write('hello'.slice(offset))
  return peer
}
/** A receiver that comes back for what is behind `offset`. */
const comeBack = async ({ ask, link }: Here, offset: number) =>
  await ask(`GET ${link}`, { Range: `bytes=${offset}-`, 'If-Match': `"${link.slice(1)}"` })
/** The path of the upload resource that the follower was told of last. */
const rewoundTo = async ({ follower }: Here) =>
  (await follower.until(/"event":"rewind".*"upload":"http:\/\/localhost([^"]+)"/))[1] ?? ''

/** The rest of the file, without a word that it is the rest. */
const lastPiece = async (here: Here) => {
  const piece = await here.ask(`PATCH ${here.upload}`, restFrom(2, false))
  await piece.write('llo')
  await here.logAnswer('piece', piece)
}
const untilBusy = async ({ broker, link }: Here) =>
  await until('a receiver is there', () => {
    try {
      broker.inspect(link.slice(1))
      return false
    } catch {
      // What a second receiver would be told.
      return true
    }
  })

/** The receiver says that it stops. */
const givesUp = async ({ ask, link }: Here) => {
  const peer = await ask(`DELETE ${link}`)
  await peer.until(/^HTTP\/1\.1 204 /)
}

const finish = async (here: Here, receiver: RawPeer) => {
  await here.logAnswer('receiver', receiver)
  await here.logEvents('follower', here.follower)
}
const stopNow = async (here: Here) => {
  here.service.stopNow()
  await FOLLOWER(here)
}
const cancelled = async (here: Here) => {
  await cancel(here)
  await FOLLOWER(here)
}

/** The arrows that only a sender meets that can go on. */
const RETURNS: Readonly<Record<string, Omit<Story, 'from'>>> = {
  'sender-interrupted in waiting': {
    act: async (here) => {
      here.sender.reset()
      await here.follower.until(/"interrupted"/)
      await here.logEvents('follower', here.follower, 'goes on')
    },
    log: ['opened', 'follower reads: opened, waiting, interrupted'],
  },
  'sender-interrupted in connected': {
    act: async (here) => {
      here.sender.reset()
      await here.follower.until(/"interrupted"/)
      await goOn(here, 0)
      await finish(here, here.receiver)
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'resumed at 0',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, resumed, delivered',
    ],
  },
  'receiver-interrupted in connected': {
    act: async (here) => {
      here.receiver.reset()
      await here.follower.until(/"interrupted"/)
      const back = await here.ask(`GET ${here.link}`)
      await goOn(here, 0, await rewoundTo(here))
      await here.logEvents('sender', here.sender)
      await finish(here, back)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'sender reads: opened, connected, interrupted, rewind',
      'resumed at 0',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, rewind, resumed, delivered',
    ],
  },
  'receiver-returned in connected': {
    act: async (here) => {
      const back = await comeBack(here, 0)
      await goOn(here, 0, await rewoundTo(here))
      await here.logAnswer('old receiver', here.receiver)
      await finish(here, back)
    },
    log: [
      'opened',
      'connected',
      'old receiver is reset',
      'resumed at 0',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, rewind, resumed, delivered',
    ],
  },
  'sender-interrupted in streaming': {
    act: async (here) => {
      here.sender.reset()
      await here.follower.until(/"interrupted"/)
      await goOn(here, 2)
      await finish(here, here.receiver)
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'resumed at 2',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, resumed, delivered',
    ],
  },
  'receiver-interrupted in streaming': {
    act: async (here) => {
      here.receiver.reset()
      await here.follower.until(/"interrupted"/)
      const back = await comeBack(here, 1)
      await goOn(here, 1, await rewoundTo(here))
      await finish(here, back)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'resumed at 1',
      'receiver gets 206 "ello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, rewind, resumed, delivered',
    ],
  },
  'receiver-returned in streaming': {
    act: async (here) => {
      const back = await comeBack(here, 1)
      await goOn(here, 1, await rewoundTo(here))
      await here.logAnswer('old receiver', here.receiver)
      await finish(here, back)
    },
    log: [
      'opened',
      'connected',
      'old receiver is reset',
      'resumed at 1',
      'receiver gets 206 "ello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, rewind, resumed, delivered',
    ],
  },
  'piece-taken in streaming': {
    act: async (here) => {
      here.sender.reset()
      await here.follower.until(/"interrupted"/)
      const piece = await here.ask(`PATCH ${here.upload}`, { ...restFrom(2, false), 'Content-Length': '1' })
      await piece.write('l')
      await here.logAnswer('piece', piece)
      await goOn(here, 3)
      await finish(here, here.receiver)
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'resumed at 2',
      'piece gets 204',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, resumed, delivered',
    ],
  },

  'sender-arrived in absent': {
    act: async (here) => {
      await here.ask(`PATCH ${here.upload}`, restFrom(0))
      await here.follower.until(/"interrupted"[\s\S]*"waiting"/)
      await here.logEvents('follower', here.follower, 'goes on')
    },
    log: ['opened', 'follower reads: opened, waiting, interrupted, waiting'],
  },
  'receiver-arrived in absent': {
    act: async (here) => {
      const receiver = await here.ask(`GET ${here.link}`)
      await untilBusy(here)
      await goOn(here, 0)
      await finish(here, receiver)
    },
    log: [
      'opened',
      'connected',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, waiting, interrupted, connected, delivered',
    ],
  },
  'return-expired in absent': {
    options: { resumeWithin: 0.3 },
    act: FOLLOWER,
    log: [
      'opened',
      'ended: sender-lost',
      'follower reads: opened, waiting, interrupted, failed(sender-lost)',
    ],
  },
  'expired in absent': {
    options: { ttl: 0.4 },
    act: FOLLOWER,
    log: ['opened', 'ended: expired', 'follower reads: opened, waiting, interrupted, failed(expired)'],
  },
  'cancelled in absent': {
    act: cancelled,
    log: ['opened', 'ended: cancelled', 'follower reads: opened, waiting, interrupted, failed(cancelled)'],
  },
  'shutting-down in absent': {
    act: stopNow,
    log: [
      'opened',
      'ended: shutting-down',
      'follower reads: opened, waiting, interrupted, failed(shutting-down)',
    ],
  },

  'sender-arrived in between': {
    act: async (here) => {
      await goOn(here, 2)
      await finish(here, here.receiver)
    },
    log: [
      'reserved',
      'opened',
      'connected',
      'piece gets 204',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, reserved, waiting, connected, delivered',
    ],
  },
  'receiver-arrived in between': {
    act: async (here) => await here.logAnswer('second receiver', await here.ask(`GET ${here.link}`)),
    log: [
      'reserved',
      'opened',
      'connected',
      'piece gets 204',
      'refused: busy',
      'second receiver gets 409 busy',
    ],
  },
  'receiver-returned in between': {
    act: async (here) => {
      const back = await comeBack(here, 0)
      await here.logAnswer('old receiver', here.receiver)
      const rewinds = /("event":"rewind"[\s\S]*){1}"upload":"http:\/\/localhost([^"]+)"/
      const [, , upload = ''] = await here.follower.until(rewinds)
      await goOn(here, 0, upload)
      await finish(here, back)
    },
    log: [
      'reserved',
      'opened',
      'connected',
      'piece gets 204',
      'old receiver is reset',
      'resumed at 0',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, reserved, waiting, connected, rewind, resumed, delivered',
    ],
  },
  'delivered in between': {
    act: async (here) => {
      await lastPiece(here)
      here.receiver.end()
      await FOLLOWER(here)
    },
    log: [
      'reserved',
      'opened',
      'connected',
      'piece gets 204',
      'piece gets 204',
      'ended: delivered',
      'follower reads: opened, reserved, waiting, connected, delivered',
    ],
  },
  'receiver-interrupted in between': {
    act: async (here) => {
      here.receiver.reset()
      await here.follower.until(/"side":"both"/)
      await here.logEvents('follower', here.follower, 'goes on')
    },
    log: [
      'reserved',
      'opened',
      'connected',
      'piece gets 204',
      'interrupted: both',
      'follower reads: opened, reserved, waiting, connected, interrupted',
    ],
  },
  'receiver-lost in between': {
    ability: '?1',
    act: async (here) => {
      here.receiver.reset()
      await FOLLOWER(here)
    },
    log: [
      'reserved',
      'opened',
      'connected',
      'piece gets 204',
      'ended: receiver-lost',
      'follower reads: opened, reserved, waiting, connected, failed(receiver-lost)',
    ],
  },
  'return-expired in between': {
    options: { resumeWithin: 0.3 },
    act: FOLLOWER_AND_RECEIVER,
    log: [
      'reserved',
      'opened',
      'connected',
      'piece gets 204',
      'ended: sender-lost',
      'follower reads: opened, reserved, waiting, connected, failed(sender-lost)',
      'receiver is reset',
    ],
  },
  'cancelled in between': {
    act: async (here) => {
      await cancel(here)
      await FOLLOWER_AND_RECEIVER(here)
    },
    log: [
      'reserved',
      'opened',
      'connected',
      'piece gets 204',
      'ended: cancelled',
      'follower reads: opened, reserved, waiting, connected, failed(cancelled)',
      'receiver is reset',
    ],
  },
  'shutting-down in between': {
    act: async (here) => {
      here.service.stopNow()
      await FOLLOWER_AND_RECEIVER(here)
    },
    log: [
      'reserved',
      'opened',
      'connected',
      'piece gets 204',
      'ended: shutting-down',
      'follower reads: opened, reserved, waiting, connected, failed(shutting-down)',
      'receiver is reset',
    ],
  },

  'sender-arrived in sender-away': {
    act: async (here) => {
      await goOn(here, 2)
      await finish(here, here.receiver)
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'resumed at 2',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, resumed, delivered',
    ],
  },
  'receiver-arrived in sender-away': {
    act: async (here) => await here.logAnswer('second receiver', await here.ask(`GET ${here.link}`)),
    log: ['opened', 'connected', 'interrupted: sender', 'refused: busy', 'second receiver gets 409 busy'],
  },
  'receiver-returned in sender-away': {
    act: async (here) => {
      const back = await comeBack(here, 0)
      await here.logAnswer('old receiver', here.receiver)
      const rewinds = /("event":"rewind"[\s\S]*){1}"upload":"http:\/\/localhost([^"]+)"/
      const [, , upload = ''] = await here.follower.until(rewinds)
      await goOn(here, 0, upload)
      await finish(here, back)
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'old receiver is reset',
      'resumed at 0',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, rewind, resumed, delivered',
    ],
  },
  'delivered in sender-away': {
    act: async (here) => {
      await lastPiece(here)
      const end = await here.ask(`PATCH ${here.upload}`, {
        'Content-Type': 'application/partial-upload',
        ...CHUNKED,
        'Upload-Offset': '5',
        'Upload-Complete': '?1',
        Expect: '100-continue',
      })
      await end.until(/100 Continue/)
      end.reset()
      await here.follower.until(/"interrupted"[\s\S]*"interrupted"/)
      here.receiver.end()
      await FOLLOWER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'resumed at 2',
      'piece gets 204',
      'interrupted: sender',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, resumed, interrupted, delivered',
    ],
  },
  'receiver-interrupted in sender-away': {
    act: async (here) => {
      here.receiver.reset()
      await here.follower.until(/"side":"both"/)
      await here.logEvents('follower', here.follower, 'goes on')
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'interrupted: both',
      'follower reads: opened, waiting, connected, interrupted, interrupted',
    ],
  },
  'receiver-lost in sender-away': {
    ability: '?1',
    act: async (here) => {
      here.receiver.reset()
      await FOLLOWER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'ended: receiver-lost',
      'follower reads: opened, waiting, connected, interrupted, failed(receiver-lost)',
    ],
  },
  'return-expired in sender-away': {
    options: { resumeWithin: 0.3 },
    act: FOLLOWER_AND_RECEIVER,
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'ended: sender-lost',
      'follower reads: opened, waiting, connected, interrupted, failed(sender-lost)',
      'receiver is reset',
    ],
  },
  'cancelled in sender-away': {
    act: async (here) => {
      await cancel(here)
      await FOLLOWER_AND_RECEIVER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'ended: cancelled',
      'follower reads: opened, waiting, connected, interrupted, failed(cancelled)',
      'receiver is reset',
    ],
  },
  'shutting-down in sender-away': {
    act: async (here) => {
      here.service.stopNow()
      await FOLLOWER_AND_RECEIVER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: sender',
      'ended: shutting-down',
      'follower reads: opened, waiting, connected, interrupted, failed(shutting-down)',
      'receiver is reset',
    ],
  },

  'sender-arrived in rewinding': {
    act: async (here) => {
      await goOn(here, 1, await rewoundTo(here))
      await finish(here, here.receiver)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'resumed at 1',
      'receiver gets 206 "ello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, rewind, resumed, delivered',
    ],
  },
  'receiver-arrived in rewinding': {
    act: async (here) => await here.logAnswer('second receiver', await here.ask(`GET ${here.link}`)),
    log: ['opened', 'connected', 'interrupted: receiver', 'refused: busy', 'second receiver gets 409 busy'],
  },
  'receiver-returned in rewinding': {
    act: async (here) => {
      const back = await comeBack(here, 0)
      await here.logAnswer('old receiver', here.receiver)
      const rewinds = /("event":"rewind"[\s\S]*){2}"upload":"http:\/\/localhost([^"]+)"/
      const [, , upload = ''] = await here.follower.until(rewinds)
      await goOn(here, 0, upload)
      await finish(here, back)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'old receiver is reset',
      'resumed at 0',
      'receiver gets 200 "hello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, rewind, rewind, resumed, delivered',
    ],
  },
  'receiver-interrupted in rewinding': {
    act: async (here) => {
      here.receiver.reset()
      await here.follower.until(/"side":"both"/)
      await here.logEvents('follower', here.follower, 'goes on')
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'interrupted: both',
      'follower reads: opened, waiting, connected, interrupted, rewind, interrupted',
    ],
  },
  'receiver-lost in rewinding': {
    ability: '?1',
    act: async (here) => {
      here.receiver.reset()
      await FOLLOWER(here)
    },
    log: [
      'opened',
      'ended: receiver-lost',
      'follower reads: opened, waiting, interrupted, failed(receiver-lost)',
    ],
  },
  'return-expired in rewinding': {
    options: { resumeWithin: 0.3 },
    act: FOLLOWER_AND_RECEIVER,
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'ended: sender-lost',
      'follower reads: opened, waiting, connected, interrupted, rewind, failed(sender-lost)',
      'receiver gets 502 sender-lost',
    ],
  },
  'cancelled in rewinding': {
    act: async (here) => {
      await cancel(here)
      await FOLLOWER_AND_RECEIVER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'ended: cancelled',
      'follower reads: opened, waiting, connected, interrupted, rewind, failed(cancelled)',
      'receiver gets 410 cancelled',
    ],
  },
  'shutting-down in rewinding': {
    act: async (here) => {
      here.service.stopNow()
      await FOLLOWER_AND_RECEIVER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'ended: shutting-down',
      'follower reads: opened, waiting, connected, interrupted, rewind, failed(shutting-down)',
      'receiver gets 503 shutting-down',
    ],
  },

  'sender-arrived in receiver-away': {
    act: async (here) => await here.logAnswer('second sender', await goOn(here, 2)),
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'refused: already-open',
      'second sender gets 409 already-open',
    ],
  },
  'receiver-arrived in receiver-away': {
    act: async (here) => {
      const back = await comeBack(here, 2)
      await goOn(here, 2, await rewoundTo(here))
      await here.logEvents('sender', here.sender)
      await finish(here, back)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'sender reads: opened, connected, interrupted, rewind',
      'resumed at 2',
      'receiver gets 206 "llo"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, rewind, resumed, delivered',
    ],
  },
  'sender-interrupted in receiver-away': {
    act: async (here) => {
      here.sender.reset()
      await here.follower.until(/"side":"both"/)
      await here.logEvents('follower', here.follower, 'goes on')
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'interrupted: both',
      'follower reads: opened, waiting, connected, interrupted, interrupted',
    ],
  },
  'return-expired in receiver-away': {
    options: { resumeWithin: 0.3 },
    act: SENDER_AND_FOLLOWER,
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'ended: receiver-lost',
      'sender reads: opened, connected, interrupted, failed(receiver-lost)',
      'follower reads: opened, waiting, connected, interrupted, failed(receiver-lost)',
    ],
  },
  'cancelled in receiver-away': {
    act: async (here) => {
      await cancel(here)
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'ended: cancelled',
      'sender reads: opened, connected, interrupted, failed(cancelled)',
      'follower reads: opened, waiting, connected, interrupted, failed(cancelled)',
    ],
  },
  'shutting-down in receiver-away': {
    act: async (here) => {
      here.service.stopNow()
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'ended: shutting-down',
      'sender reads: opened, connected, interrupted, failed(shutting-down)',
      'follower reads: opened, waiting, connected, interrupted, failed(shutting-down)',
    ],
  },

  'sender-arrived in both-away': {
    act: async (here) => {
      await goOn(here, 2)
      await here.follower.until(/"side":"both"[\s\S]*"side":"receiver"/)
      await here.logEvents('follower', here.follower, 'goes on')
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'interrupted: both',
      'interrupted: receiver',
      'follower reads: opened, waiting, connected, interrupted, interrupted, interrupted',
    ],
  },
  'receiver-arrived in both-away': {
    act: async (here) => {
      const back = await comeBack(here, 1)
      await goOn(here, 1, await rewoundTo(here))
      await finish(here, back)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'interrupted: both',
      'resumed at 1',
      'receiver gets 206 "ello"',
      'ended: delivered',
      'follower reads: opened, waiting, connected, interrupted, interrupted, rewind, resumed, delivered',
    ],
  },
  'receiver-lost in receiver-away': {
    act: async (here) => {
      await givesUp(here)
      await SENDER_AND_FOLLOWER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'ended: receiver-lost',
      'sender reads: opened, connected, interrupted, failed(receiver-lost)',
      'follower reads: opened, waiting, connected, interrupted, failed(receiver-lost)',
    ],
  },
  'receiver-lost in both-away': {
    act: async (here) => {
      await givesUp(here)
      await FOLLOWER(here)
    },
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'interrupted: both',
      'ended: receiver-lost',
      'follower reads: opened, waiting, connected, interrupted, interrupted, failed(receiver-lost)',
    ],
  },
  'return-expired in both-away': {
    options: { resumeWithin: 0.3 },
    act: FOLLOWER,
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'interrupted: both',
      'ended: sender-lost',
      'follower reads: opened, waiting, connected, interrupted, interrupted, failed(sender-lost)',
    ],
  },
  'cancelled in both-away': {
    act: cancelled,
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'interrupted: both',
      'ended: cancelled',
      'follower reads: opened, waiting, connected, interrupted, interrupted, failed(cancelled)',
    ],
  },
  'shutting-down in both-away': {
    act: stopNow,
    log: [
      'opened',
      'connected',
      'interrupted: receiver',
      'interrupted: both',
      'ended: shutting-down',
      'follower reads: opened, waiting, connected, interrupted, interrupted, failed(shutting-down)',
    ],
  },
}

const STAGES = [
  'reserved',
  'waiting',
  'connected',
  'streaming',
  'between',
  'absent',
  'sender-away',
  'rewinding',
  'receiver-away',
  'both-away',
  'closed',
] satisfies Stage[]
// A record, because the compiler then misses an input that the list could miss too.
const INPUTS = {
  'sender-arrived': true,
  'receiver-arrived': true,
  'receiver-returned': true,
  'early-receiver-lost': true,
  'body-began': true,
  'piece-taken': true,
  delivered: true,
  expired: true,
  'sender-interrupted': true,
  'receiver-interrupted': true,
  'return-expired': true,
  'sender-lost': true,
  'receiver-lost': true,
  'bad-request': true,
  'no-file-in-form': true,
  'too-large': true,
  stalled: true,
  'internal-error': true,
  cancelled: true,
  'shutting-down': true,
  moved: true,
  reopened: true,
  'reopened-midway': true,
} satisfies Record<Input, true>

test('every arrow of the table has its story', () => {
  const arrows = STAGES.flatMap((stage) =>
    // Object.keys gives string[]; the record's type makes them inputs.
    (Object.keys(INPUTS) as Input[])
      .filter((input) => nextStep(stage, input) !== 'ignored')
      .map((input) => `${input} in ${stage}`),
  )
  const told = [
    ...Object.keys(STORIES),
    ...Object.keys(RETURNS),
    ...UNREACHED,
    ...BY_WORD,
    ...BY_REOPENING,
    ...MOVED,
  ]
  expect(told.sort()).toEqual(arrows.sort())
})

test.each(Object.entries(MOVES))('moved in %s', async (from, told) => {
  // The names are those of stages, which is tested above.
  const here = await bring({ from: from as Begun, ability: 'rewind', isNode: true })
  const before = here.log.length
  here.service.stopNow()
  if (told.some((line) => line.startsWith('sender'))) await here.logEvents('sender', here.sender)
  await here.logEvents('follower', here.follower)
  if (told.some((line) => line.startsWith('receiver'))) await here.logAnswer('receiver', here.receiver)
  expect(here.log.slice(before)).toEqual(['ended: moved', ...told])
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

test.each(Object.entries(RETURNS))('%s', async (name, story) => {
  const [, from = ''] = name.split(' in ')
  // The names are those of arrows, which is tested above.
  const here = await bring({ ability: 'rewind', ...story, from: from as Begun })
  await story.act(here)
  expect(here.log).toEqual(story.log)
})

/** A socket in the stage where the story begins. */
async function bring(story: Omit<Story, 'act' | 'log'>): Promise<Here> {
  const { from, ability } = story
  switch (from) {
    case 'reserved':
    case 'waiting':
    case 'connected':
    case 'streaming':
      return await bringUninterrupted(story)
    case 'between': {
      const here = await bringUninterrupted({ ...story, from: 'reserved' })
      const receiver = await here.ask(`GET ${here.link}`)
      await untilHeld(here, 1)
      const piece = await here.ask(`PATCH ${here.upload}`, {
        ...restFrom(0, false),
        'Content-Length': '2',
        'Upload-Length': '5',
        'Ess-Resume': ability ?? '',
        ...(story.isNode && CAN_REOPEN),
      })
      await piece.write('he')
      await here.logAnswer('piece', piece)
      return { ...here, sender: piece, receiver }
    }
    case 'absent': {
      const here = await bringUninterrupted({ ...story, from: 'waiting' })
      await lose(here, here.sender, 'sender')
      return here
    }
    case 'sender-away': {
      const here = await bringUninterrupted({ ...story, from: 'streaming' })
      await lose(here, here.sender, 'sender')
      return here
    }
    case 'receiver-away': {
      const here = await bringUninterrupted({ ...story, from: 'streaming' })
      await lose(here, here.receiver, 'receiver')
      return here
    }
    case 'both-away': {
      const here = await bring({ ...story, from: 'receiver-away' })
      await lose(here, here.sender, 'both')
      return here
    }
    case 'rewinding': {
      // A sender that can't go back is asked for no rewind, but for its first byte.
      const goesBack = ability === 'rewind'
      const here = await bring({ ...story, from: goesBack ? 'receiver-away' : 'absent' })
      const receiver = goesBack ? await comeBack(here, 1) : await here.ask(`GET ${here.link}`)
      await (goesBack ? rewoundTo(here) : untilBusy(here))
      return { ...here, receiver }
    }
  }
}

async function lose({ follower }: Here, peer: RawPeer, side: string): Promise<void> {
  peer.reset()
  await follower.until(new RegExp(`"event":"interrupted","side":"${side}"`))
}

/** The same where nobody was lost. */
async function bringUninterrupted({
  from,
  options,
  isForm,
  ability,
  isNode,
}: Omit<Story, 'act' | 'log'>): Promise<Here> {
  const served = await (isNode ? serveNode : serve)({ reservations: true, ...options })
  const log: string[] = []
  const { service, port } = served
  service.on('socket:reserved', () => log.push('reserved'))
  service.on('socket:opened', () => log.push('opened'))
  service.on('socket:connected', () => log.push('connected'))
  service.on('socket:interrupted', (_socket, side) => log.push(`interrupted: ${side}`))
  service.on('socket:resumed', (_socket, offset) => log.push(`resumed at ${offset}`))
  for (const event of ['socket:end', 'socket:timeout', 'socket:moved', 'error:socket'] as const)
    service.on(event, (_socket, { outcome }) => log.push(`ended: ${outcome}`))
  service.on('request:refused', ({ code }) => log.push(`refused: ${code}`))

  const first = await connectRaw(port)
  if (from === 'reserved')
    await first.write(requestHead('POST /reserve', { Accept: 'application/json', ...(isNode && CAN_REOPEN) }))
  else if (ability !== undefined)
    await first.write(
      senderHead({ length: 5, headers: { 'Ess-Resume': ability, ...(isNode && CAN_REOPEN) } }),
    )
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
    await first.write(ability === undefined ? chunk('he') : 'he')
    await receiver.until(/he(?:\r\n)?$/)
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
    const isWhole = status === 200 || status === 206
    const said = isWhole ? JSON.stringify(body.trimEnd()) : /\[([a-z-]+)\]\n$/.exec(body)?.[1]
    log.push(`${name} gets ${status}${said === undefined ? '' : ` ${said}`}`)
    peer.end()
    if (name === 'receiver' && isWhole)
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

/** A sender that knows how to go on at another node. */
const CAN_REOPEN = { 'Ess-Reopen': '?1' }

/** A cluster of one node. */
async function serveNode(options: ServiceOptions): Promise<Served> {
  const [node] = await serveNodes(1, options)
  if (node === undefined) throw new Error('Expected a node')
  return node
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
