import { describe, expect, test } from 'vitest'
import { type Input, nextStep, type Phase } from '../../server/broker/lifecycle.js'
import { parseAnswer } from '../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { setTimings } from '../helpers/timings.js'
import { until } from '../helpers/within.js'
import { chunk, eventsOf, LAST_CHUNK, senderHead } from '../server/serve.js'
import { type ContractOptions, HOSTS, type Started } from './hosts.js'
import { type ContractSender, listenTo, peersOf } from './peers-of.js'

/** A form up to the end of its file, and one that goes on with a second file. */
const FORM_HEAD = 'Content-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhello'
const FORM = `--b\r\n${FORM_HEAD}`
const SECOND_FILE = `\r\n--b\r\n${FORM_HEAD}\r\n--b--\r\n`
const FORM_TYPE = { 'Content-Type': 'multipart/form-data; boundary=b' }

/** How a socket is brought to one of its ends. */
interface Story {
  readonly options?: ContractOptions
  /** The form that its sender sends; a raw body otherwise. */
  readonly isForm?: true
  readonly act: (here: Here) => Promise<unknown>
}

interface Here {
  readonly started: Started
  readonly peers: ReturnType<typeof peersOf>
  /** The path of the upload resource, below the mount. */
  readonly upload: string
  readonly sender: RawPeer
  readonly receiver: RawPeer
}

const stop: Story = { act: ({ started }) => started.close() }
const cancel: Story = {
  act: async ({ started, peers, upload }) => {
    expect((await peers.ask(started.port, `DELETE ${upload}`)).status).toBe(204)
  },
}
const leave: Story = { act: async ({ sender }) => sender.reset() }
const misframe: Story = { act: ({ sender }) => sender.write('not a chunk\r\n') }

/** One for each way to end that the table of the life of a socket has. */
const STORIES: Readonly<Record<string, Story>> = {
  'reserved expired': { options: { ttl: 0.6 }, act: async () => {} },
  'reserved cancelled': cancel,
  'reserved shutting-down': stop,
  'waiting expired': { options: { ttl: 0.6 }, act: async () => {} },
  'waiting sender-lost': leave,
  'waiting bad-request': misframe,
  'waiting cancelled': cancel,
  'waiting shutting-down': stop,
  'streaming delivered': {
    act: async ({ sender, receiver }) => {
      await sender.write(LAST_CHUNK)
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
    },
  },
  'streaming sender-lost': leave,
  'streaming receiver-lost': { act: async ({ receiver }) => receiver.reset() },
  'streaming bad-request': misframe,
  'streaming no-file-in-form': { isForm: true, act: ({ sender }) => sender.write(SECOND_FILE) },
  'streaming too-large': { options: { maxUploadBytes: 5 }, act: ({ sender }) => sender.write(chunk('!')) },
  'streaming stalled': { options: { stallTimeout: 0.3 }, act: async () => {} },
  'streaming cancelled': cancel,
  'streaming shutting-down': stop,
}

/** Cannot be brought about on the wire: what a form holds behind its file is looked at when a receiver is there. */
const UNREACHED = ['waiting no-file-in-form']

test('there is a story for each way in which a socket can end', () => {
  const phases = ['reserved', 'waiting', 'streaming', 'closed'] satisfies Phase[]
  const inputs = [
    'sender-arrived',
    'receiver-arrived',
    'delivered',
    'expired',
    'sender-lost',
    'receiver-lost',
    'bad-request',
    'no-file-in-form',
    'too-large',
    'stalled',
    'cancelled',
    'shutting-down',
  ] satisfies Input[]
  const ends = phases.flatMap((phase) =>
    inputs.filter((input) => 'close' in Object(nextStep(phase, input))).map((input) => `${phase} ${input}`),
  )
  expect([...Object.keys(STORIES), ...UNREACHED].sort()).toEqual(ends.sort())
})

describe.each(HOSTS)('$name', ({ path, readsFraming, start }) => {
  const peers = peersOf(path)

  /** An upload of its own, of which five bytes have been received where it streams. */
  async function openUntil(phase: string, port: number, isForm: boolean) {
    const target = `POST ${path}/`
    const sender = await connectRaw(port)
    if (isForm) {
      const length = FORM.length + SECOND_FILE.length
      await sender.write(senderHead({ target, length, headers: FORM_TYPE }) + FORM)
    } else await sender.write(senderHead({ target }))
    const [, id = '', upload = ''] = await sender.until(/"id":"([^"]+)".*"upload":"([^"]+)"/)
    const opened: ContractSender = { ...sender, id, url: '', upload: peers.placeOf(upload) }
    if (phase === 'waiting') return { ...opened, sender, receiver: sender }
    const receiver = await peers.connect(port, opened)
    if (!isForm) await sender.write(chunk('hello'))
    // A form's last bytes wait for its end.
    await (isForm ? sender.until(/"progress"/) : receiver.until(/hello/))
    return { ...opened, sender, receiver }
  }

  test.each(Object.entries(STORIES))(
    '%s is told, in order, to both sides and to followers',
    async (name, story) => {
      const [phase = '', input = ''] = name.split(' ')
      // By HTTP/2, all that is seen of it is that the sender's stream is gone.
      const outcome = input === 'bad-request' && !readsFraming ? 'sender-lost' : input
      // Peers that stay: the command waits for them when it stops.
      setTimings({ drainMs: 200, lastWordsMs: 300 })
      const started = await start(story.options)
      const { port, service } = started
      const told = listenTo(service)
      const unopened = phase === 'reserved' ? await peers.reserve(port) : undefined
      const { upload, sender, receiver } =
        unopened === undefined
          ? await openUntil(phase, port, story.isForm === true)
          : { ...unopened, sender: await connectRaw(port), receiver: await connectRaw(port) }
      const follower = await peers.say(port, `GET ${upload}/events`, { Accept: 'application/x-ndjson' })
      await follower.until(phase === 'streaming' ? /"connected"/ : new RegExp(`"${phase}"`))
      const done = story.act({ started, peers, upload, sender, receiver })

      const isDelivered = outcome === 'delivered'
      expect(await follower.ending()).toBe('fin')
      const last = isDelivered
        ? { event: 'delivered', bytes: 5, confirmed: true }
        : { event: 'failed', problem: { type: `urn:ess:problem:${outcome}` } }
      expect(eventsOf(follower).at(-1)).toMatchObject(last)
      const isSenderLeft = outcome === 'sender-lost'
      if (unopened === undefined && !isSenderLeft) {
        await sender.until(isDelivered ? /"delivered"/ : /"failed"/)
        expect(eventsOf(sender).at(-1)).toMatchObject(last)
      }
      if (phase === 'streaming' && !isDelivered && outcome !== 'receiver-lost' && story.isForm !== true)
        expect(await receiver.ending()).toBe('rst')
      await done
      if (service === undefined) return
      const first = { reserved: ['reserved'], waiting: ['opened'], streaming: ['opened', 'connected'] }
      const terminal = isDelivered ? 'end' : outcome === 'expired' ? 'timeout' : outcome
      await until('the last event is told', () => told.includes(terminal))
      // The names of stories begin with these.
      expect(told).toEqual([...first[phase as keyof typeof first], terminal])
      expect(service.counts().sockets).toBe(0)
    },
  )

  test('a reservation is told of from its beginning to its end', async () => {
    const { port, service } = await start()
    const told = listenTo(service)
    const { id, upload } = await peers.reserve(port)
    const receiver = await peers.say(port, `GET /${id}`)
    const sender = await peers.say(port, `PUT ${upload}`, { 'Content-Length': '0' })
    await receiver.ending()
    receiver.end()
    await sender.ending()
    expect(parseAnswer(sender.text())).toMatchObject({ status: 200 })
    if (service === undefined) return
    await until('the last event is told', () => told.length >= 4)
    expect(told).toEqual(['reserved', 'opened', 'connected', 'end'])
  })
})
