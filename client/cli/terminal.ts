import type { Writable } from 'node:stream'
import type { JobControl } from './job-control.js'
import type { Screen } from './screen.js'
import type { TerminalStream } from './terminal-output.js'

interface Outside {
  readonly stderr: TerminalStream
  readonly env: Readonly<Record<string, string | undefined>>
  readonly job?: JobControl
}

/** How much of it a person sees: a line that moves, plain lines one after the other, or failures alone. */
export type Look = 'drawn' | 'plain' | 'silent'

export async function openScreen({ stderr, env, job }: Outside, look: Look): Promise<Screen> {
  if (look === 'silent') return silentScreen(stderr)
  if (look === 'plain') return new (await import('./plain-screen.js')).PlainScreen(stderr)
  // Scripts don't have to load the code that draws.
  const { TerminalScreen } = await import('./terminal-screen.js')
  return new TerminalScreen(stderr, !env['NO_COLOR'], job)
}

function silentScreen(stderr: Writable): Screen {
  const nothing = () => {}
  return {
    connecting: nothing,
    waiting: nothing,
    timeLeft: nothing,
    moving: nothing,
    moved: nothing,
    interrupted: nothing,
    resumed: nothing,
    goesOn: nothing,
    succeeded: nothing,
    failed: (line) => void stderr.write(`ess: ${line}\n`),
    clear: nothing,
  }
}
