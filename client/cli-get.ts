import { basename, resolve } from 'node:path'
import type { Command } from './arguments.js'
import { get } from './get.js'
import type { Io } from './io.js'
import type { Destination } from './sink.js'
import { type Screen, summary } from './terminal.js'

type GetCommand = Extract<Command, { command: 'get' }>

/** `ess get`: the file goes where the command line says, words to the screen. Resolves with the last line. */
export async function runGet(command: GetCommand, io: Io, screen: Screen): Promise<string> {
  const { server, wait, force } = command
  let startedAt = performance.now()
  screen.connecting(server)
  const received = await get(command.idOrUrl, {
    server,
    wait,
    force,
    to: destination(command.output, io),
    signal: io.signal,
    onOffer({ size }) {
      startedAt = performance.now()
      screen.moving(size)
    },
    onProgress: (bytes) => screen.moved(bytes),
  })
  const name = received.path === undefined ? received.name : basename(received.path)
  return `received ${summary(name, received.bytes, performance.now() - startedAt)}`
}

function destination(output: string | undefined, io: Io): Destination {
  if (output === '-' || (output === undefined && !io.stdout.isTTY)) return { stream: io.stdout }
  return output === undefined ? { folder: io.cwd } : { file: resolve(io.cwd, output) }
}
