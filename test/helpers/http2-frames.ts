import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { onTestFinished } from 'vitest'
import { DEADLINE_MS, until, within } from './within.js'

/** What a frame is (RFC 9113, 6). */
export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const FLAG = { none: 0, endStream: 1, ack: 1, endHeaders: 4 } as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** One frame as it is on the wire; its length is said to be what it is. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A number of four bytes, as most frames have one. */
export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A request's fields, by HPACK's plainest means (RFC 7541, 6.2.2): nothing is compressed, or remembered. */
export function fields(entries: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(entries).map((entry) => Buffer.concat([Buffer.of(0), ...entry.map(text)])),
  )
}

/** A request without a body, or the head of one with a body. */
export function request(
  stream: number,
  method: string,
  path: string,
  flags: number = FLAG.endStream,
): Buffer {
  const head = { ':method': method, ':path': path, ':scheme': 'https', ':authority': 'localhost' }
  return frame(TYPE.headers, flags | FLAG.endHeaders, stream, fields(head))
}

/** A text with its length before it (RFC 7541, 5.2), of at most 16 KiB. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  const { length } = bytes
  const size = length < 127 ? [length] : [127, ((length - 127) & 127) | 128, (length - 127) >> 7]
  return Buffer.concat([Buffer.from(size), bytes])
}

/** A client by HTTP/2 that says exactly these frames, which no library would. */
export interface FramePeer {
  /** False when the server takes no more of it within `ms`, or has ended the connection. */
  send(bytes: Uint8Array, ms?: number): Promise<boolean>
  /** The frames that have come, of one type. */
  got(type: number): Frame[]
  untilGot(type: number, stream?: number): Promise<Frame>
  /** Until the server has ended the connection, or said that it will take no more of it (GOAWAY). */
  ended(ms?: number): Promise<void>
  isOver(): boolean
  pause(): void
  reset(): void
  /** Closes both halves, as the kernel does for a program that was killed: in good order if it has read what came. */
  leave(): void
}

/** Connects; `settings` are those of its preface. The connection is reset when the test is over. */
export async function connectFrames(
  port: number,
  settings: Uint8Array = Buffer.alloc(0),
): Promise<FramePeer> {
  const carrier = connect({ port, host: '127.0.0.1', noDelay: true })
  const socket = connectTls({ socket: carrier, rejectUnauthorized: false, ALPNProtocols: ['h2'] })
  const frames: Frame[] = []
  let rest = Buffer.alloc(0)
  let isOver = false
  const over = () => {
    isOver = true
  }
  socket
    .on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
        const end = 9 + rest.readUIntBE(0, 3)
        const payload = rest.subarray(9, end)
        frames.push({ type: rest[3] ?? 0, flags: rest[4] ?? 0, stream: rest.readUInt32BE(5), payload })
        rest = rest.subarray(end)
      }
    })
    // A reset is an end too.
    .on('error', over)
    .on('end', over)
    .on('close', over)
  carrier.on('error', over)
  onTestFinished(() => {
    socket.destroy()
    carrier.destroy()
  })
  await within(DEADLINE_MS, 'TLS for frames', new Promise((resolve) => socket.once('secureConnect', resolve)))
  const peer: FramePeer = {
    send: (bytes, ms = DEADLINE_MS) =>
      isOver
        ? Promise.resolve(false)
        : within(
            ms,
            'the server takes frames',
            new Promise<boolean>((resolve) => {
              socket.once('close', () => resolve(false))
              socket.write(bytes, (error) => resolve(!error))
            }).finally(() => socket.removeAllListeners('close').on('close', over)),
          ).catch(() => false),
    got: (type) => frames.filter((one) => one.type === type),
    untilGot: (type, stream) =>
      until(`a frame of type ${type} comes`, () =>
        frames.find((one) => one.type === type && (stream === undefined || one.stream === stream)),
      ).then((found) => {
        if (found === undefined) throw new Error('it came and is not there')
        return found
      }),
    ended: async (ms) =>
      void (await until(
        'the server ends the connection',
        () => isOver || frames.some(({ type }) => type === TYPE.goaway),
        ms,
      )),
    isOver: () => isOver,
    pause: () => void socket.pause(),
    reset: () => void carrier.resetAndDestroy(),
    leave: () => void carrier.destroy(),
  }
  await peer.send(
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(TYPE.settings, 0, 0, settings)]),
  )
  await peer.untilGot(TYPE.settings)
  await peer.send(frame(TYPE.settings, FLAG.ack, 0))
  return peer
}
