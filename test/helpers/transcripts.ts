import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './run.js'
import { ESS } from './run-ess.js'
import { ESS_SERVER } from './start-server.js'
import { tempDir } from './temp-dir.js'

/**
 * A file of transcripts is what a reader would see on a terminal:
 *
 *     == A title
 *     $ a command
 *     what it prints
 *     [exit 0]
 *
 * The commands of one entry run in one shell, in a folder of their own. What stands before the first title is prose.
 */
export interface Transcripts {
  readonly prose: string
  readonly entries: readonly Entry[]
}

export interface Entry {
  readonly title: string
  readonly commands: readonly string[]
  /** The entry as it stands in the file. */
  readonly text: string
}

const TITLE = '== '
const PROMPT = '$ '

export function parseTranscripts(text: string): Transcripts {
  const [prose = '', ...entries] = text.split(/^(?=== )/m)
  return {
    prose,
    entries: entries.map((entry) => {
      const lines = entry.trimEnd().split('\n')
      return {
        title: (lines[0] ?? '').slice(TITLE.length),
        commands: lines
          .filter((line) => line.startsWith(PROMPT))
          .map((command) => command.slice(PROMPT.length)),
        text: entry.trimEnd(),
      }
    }),
  }
}

export function formatTranscripts(prose: string, entries: readonly string[]): string {
  return `${prose}${entries.join('\n\n')}\n`
}

/** What separates the output of one command from that of the next. */
const MARK = '\u001e'

/** Programs that the commands may use beside the real ones. `link` waits for a sender's link, and prints it. */
const PRELUDE = `
trap 'kill $(jobs -p) 2>/dev/null' EXIT
set -o pipefail
stty -onlcr -echo cols 80
link() { until [ -s link ]; do sleep 0.05; done; cat link; }
until_bytes() { until [ -s "$(ls $1 2>/dev/null)" ]; do sleep 0.05; done; }
for command in "$@"; do
  eval "$command"
  printf '${MARK}%s${MARK}' $?
done
`

/**
 * Without these, root obeys permissions as any other user does. It stays root, because the tests may lie where no
 * other user can read them.
 */
const POWERS = ['dac_override', 'dac_read_search', 'fowner', 'net_bind_service']

/** Longer than any entry takes on a busy machine. */
const HANGS_MS = 25_000

/** Where the transcripts run, and how their addresses are called in the file. */
export interface Place {
  /** The real port of each that the file names. */
  readonly ports: Readonly<Record<string, number>>
  /** A folder with `ess` and `ess-server`. */
  readonly bin: string
  /** The file that `$CERTIFICATE` names. */
  readonly certificate: string
}

/** A folder for the PATH, with the commands as they are built. */
export async function binFolder(): Promise<string> {
  const bin = await tempDir()
  for (const [name, main] of [
    ['ess', ESS],
    ['ess-server', ESS_SERVER],
  ] as const) {
    await writeFile(join(bin, name), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
    await chmod(join(bin, name), 0o755)
  }
  return bin
}

/**
 * Runs the commands of an entry in bash, on a terminal that cannot be drawn on, so that all is plain lines in order.
 * Resolves with the entry as it should stand in the file.
 */
export async function playEntry({ title, commands }: Entry, place: Place): Promise<string> {
  const home = await tempDir()
  await writeFile(join(home, 'report.pdf'), 'the text of a report\n')
  await writeFile(join(home, 'notes.txt'), 'some notes\n')
  await mkdir(join(home, 'photos'))
  await writeFile(join(home, 'photos', 'one.jpg'), 'a photo\n')
  const script = join(await tempDir(), 'script')
  await writeFile(script, PRELUDE)
  const words = ['bash', script, ...commands.map((command) => withPorts(command, place))]
  const asUser =
    process.geteuid?.() === 0
      ? ['setpriv', `--bounding-set=${POWERS.map((power) => `-${power}`).join(',')}`]
      : []
  const line = [...asUser, ...words].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const terminal = await run(title, 'script', ['-qec', line, '/dev/null'], {
    cwd: home,
    // Nothing is typed.
    stdin: 'open',
    env: {
      CERTIFICATE: place.certificate,
      ESS_SERVER: `http://127.0.0.1:${place.ports['9000']}`,
      HOME: home,
      LC_ALL: 'C.UTF-8',
      PATH: `${place.bin}:${process.env['PATH'] ?? ''}`,
      SHELL: '/bin/sh',
      TERM: 'dumb',
      XDG_CONFIG_HOME: undefined,
    },
  })
  // A command that hangs is seen in the transcript, by its exit status.
  const { stdout } = await terminal.ended(HANGS_MS).catch(async () => {
    terminal.kill('SIGTERM')
    return await terminal.ended()
  })
  const pieces = stdout.toString().replaceAll('\r', '').split(MARK)
  const lines = commands.flatMap((command, index) => {
    const output = normal(pieces[2 * index] ?? '', home, place)
    const ends = output === '' || output.endsWith('\n') ? '' : '\n'
    return `${PROMPT}${command}\n${output}${ends}[exit ${pieces[2 * index + 1] ?? 'never'}]`
  })
  return [`${TITLE}${title}`, ...lines].join('\n')
}

function withPorts(command: string, { ports }: Place): string {
  return Object.entries(ports).reduce(
    (text, [name, port]) => text.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), String(port)),
    command,
  )
}

/** Replaces what differs from run to run. */
function normal(output: string, home: string, { ports }: Place): string {
  const named = Object.entries(ports).reduce(
    (text, [name, port]) => text.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), name),
    output.replaceAll(home, '/home/me'),
  )
  return (
    named
      .replaceAll(/(:9\d{3}\/(?:files\/)?)(?!aBcDeFgHiJkL)[\w-]{12}(?=[/#\s'"]|$)/gm, '$1LINK')
      .replaceAll(/(AGE-SECRET-KEY-1)(?!Q{9})[A-Z0-9]{58}\b/g, '$1KEY')
      .replaceAll(/(\/uploads\/)[\w-]{22}/g, '$1TOKEN')
      // What curl says of these differs from version to version.
      .replaceAll(/ after \d+ ms: Could(?:n't| not) connect/g, ": Couldn't connect")
      .replaceAll(/^curl: \(35\) .*/gm, 'curl: (35) (words of its TLS library)')
      .replaceAll(/\d{4}-\d\d-\d\d[T ][\d:.]+Z?/g, 'TIME')
      // How much of a pipe has gone through when it is stopped.
      .replaceAll(/after [\d.]+ kB/g, 'after SOME kB')
  )
}
