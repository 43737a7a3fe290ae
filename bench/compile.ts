import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** The small C programs, built for this run. */
export interface Programs {
  readonly sender: string
  readonly receiver: string
  readonly relay: string
  readonly timed: string
  /** False where the headers of OpenSSL are missing: what needs TLS is left out then. */
  readonly speakTls: boolean
}

/** Builds the programs of `c/` into `folder` with the machine's `cc`. Throws with what `cc` said. */
export function compilePrograms(sources: string, folder: string): Programs {
  const compile = (name: string, ...flags: string[]) => {
    const program = join(folder, name)
    execFileSync('cc', ['-O3', '-pthread', '-o', program, join(sources, `${name}.c`), ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    })
    return program
  }
  const relay = compile('relay')
  const timed = compile('timed')
  const tlsFlags = ['-DWITH_TLS', '-lssl', '-lcrypto']
  try {
    return {
      sender: compile('sender', ...tlsFlags),
      receiver: compile('receiver', ...tlsFlags),
      relay,
      timed,
      speakTls: true,
    }
  } catch {
    // No libssl-dev; were it anything else, the same sources would not compile now either.
    return { sender: compile('sender'), receiver: compile('receiver'), relay, timed, speakTls: false }
  }
}
