import { once } from 'node:events'
import { connect } from 'node:net'

/** What a Redis has done so far, or holds now. */
export interface RedisFigures {
  /** As Redis counts them: those inside of scripts, too. */
  readonly commands: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly cpuSeconds: number
  readonly memoryBytes: number
}

/** Asks a Redis for its figures. What asking itself costs is not in them. */
export type AskRedis = () => Promise<RedisFigures>

const QUESTION = '*2\r\n$4\r\nINFO\r\n$3\r\nall\r\n'

/** Opens a connection of its own to the Redis on this port, for `use` alone. */
export async function withRedisFigures<T>(port: number, use: (ask: AskRedis) => Promise<T>): Promise<T> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const own = { commands: 0, bytesIn: 0, bytesOut: 0 }
  try {
    return await use(async () => {
      socket.write(QUESTION)
      const answer = await readAnswer()
      // Redis has counted this question, and not yet this answer.
      own.bytesIn += QUESTION.length
      const figures = {
        commands: figure(answer, 'total_commands_processed') - own.commands,
        bytesIn: figure(answer, 'total_net_input_bytes') - own.bytesIn,
        bytesOut: figure(answer, 'total_net_output_bytes') - own.bytesOut,
        cpuSeconds: figure(answer, 'used_cpu_sys') + figure(answer, 'used_cpu_user'),
        memoryBytes: figure(answer, 'used_memory'),
      }
      own.commands++
      own.bytesOut += answer.length
      return figures
    })
  } finally {
    socket.destroy()
  }

  /** Redis writes `$LENGTH`, and then so many bytes, all of them ASCII. */
  async function readAnswer(): Promise<string> {
    let text = ''
    for (;;) {
      const [chunk] = await once(socket, 'data')
      text += String(chunk)
      const [head, length] = /^\$(\d+)\r\n/.exec(text) ?? []
      if (head !== undefined && text.length >= head.length + Number(length) + 2) return text
    }
  }
}

/** What was done between two moments; the memory is what was added. */
export function between(before: RedisFigures, after: RedisFigures): RedisFigures {
  return {
    commands: after.commands - before.commands,
    bytesIn: after.bytesIn - before.bytesIn,
    bytesOut: after.bytesOut - before.bytesOut,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    memoryBytes: after.memoryBytes - before.memoryBytes,
  }
}

function figure(answer: string, name: string): number {
  const value = new RegExp(`^${name}:([\\d.]+)\\r$`, 'm').exec(answer)?.[1]
  if (value === undefined) throw new Error(`Expected ${name} in what Redis says of itself`)
  return Number(value)
}
