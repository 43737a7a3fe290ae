import type { Writable } from 'node:stream'
import { formatBytes } from '../../shared/index.js'
import type { JobControl } from './job-control.js'
import { interruptionWords, oneLine, type Screen } from './screen.js'
import type { TerminalStream } from './terminal-output.js'

interface Outside {
  readonly stderr: TerminalStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly job?: JobControl
}

/**
 * How much of it a person sees: a line that moves, plain lines one after the other, the troubles alone, or failures
 * alone.
 */
export type Look = 'drawn' | 'plain' | 'terse' | 'silent'

export async function openScreen({ stderr, env, job }: Outside, look: Look): Promise<Screen> {
  if (look === 'silent') return silentScreen(stderr)
  if (look === 'terse') return terseScreen(stderr)
  if (look === 'plain') return new (await import('./plain-screen.js')).PlainScreen(stderr)
  // Scripts don't have to load the code that draws.
  const { TerminalScreen } = await import('./terminal-screen.js')
  return new TerminalScreen(stderr, !env['NO_COLOR'], job)
}

function silentScreen(stderr: Writable): Screen {
  const nothing = () => {}
  return {
    examining: nothing,
    examined: nothing,
    connecting: nothing,
    waiting: nothing,
    timeLeft: nothing,
    moving: nothing,
    moved: nothing,
    interrupted: nothing,
    resumed: nothing,
    goesOn: nothing,
    note: nothing,
    warn: nothing,
    print: (lines) => void stderr.write(lines),
    succeeded: nothing,
    failed: (line) => void stderr.write(`ess: ${line}\n`),
    clear: nothing,
  }
}

/**
 * For a script's log: without these lines a transfer that waits for its connection looks like one that hangs. A loss that
 * the next try mends, or that ends it all, needs none.
 */
function terseScreen(stderr: Writable): Screen {
  let timesTold = 0
  let isMoving = false
  return {
    ...silentScreen(stderr),
    waiting() {
      timesTold = 0
    },
    moving() {
      isMoving = true
      timesTold = 0
    },
    interrupted(words, secondsLeft) {
      timesTold += 1
      if (timesTold === 2) stderr.write(`ess: ${interruptionWords(words, secondsLeft)}\n`)
    },
    resumed(bytes) {
      const words = isMoving ? `Going on from ${formatBytes(bytes)}.` : 'Waiting for the receiver again.'
      if (timesTold > 1) stderr.write(`ess: ${words}\n`)
      timesTold = 0
    },
    goesOn: (_bytes, line) => void stderr.write(`ess: ${line}\n`),
    warn: (line) => void stderr.write(`ess: ${oneLine(line)}\n`),
  }
}
