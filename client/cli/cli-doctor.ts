import { EXIT_STATUS, type ExitStatus } from '../../shared/index.js'
import { examine, type Line, LONG_MS } from '../doctor/doctor.js'
import { unwritable } from '../files/unwritable.js'
import { codeOf } from '../node/errno-words.js'
import { written } from '../receive/sink.js'
import type { Command } from './arguments.js'
import type { Io } from './io.js'
import { oneLine } from './screen.js'
import { readToken } from './token.js'

type DoctorCommand = Extract<Command, { command: 'doctor' }>

/** Runs `ess doctor`: prints a line for each check, and resolves with the exit status. */
export async function runDoctor(command: DoctorCommand, io: Io): Promise<ExitStatus> {
  const token = await readToken(command, io)
  const longMs = command.long ? LONG_MS : undefined
  if (command.long && !command.quiet && !command.noProgress)
    io.stderr.write(
      `ess: This takes ${Math.ceil(LONG_MS / 60_000)} minutes: a connection is left alone to see what cuts it.\n`,
    )
  // A pipe gets each line whole; a terminal gets lines that end between words.
  const columns = io.stdout.isTTY ? io.stderr.columns || undefined : undefined
  const counts = { problem: 0, skipped: 0, isLong: command.long }
  let isRead = true
  // A reader may stop after the first lines, as `head` does.
  const say = async (text: string) =>
    await written(io.stdout, Buffer.from(text)).catch((error: unknown) => {
      if (codeOf(error) !== 'EPIPE') throw unwritable(undefined, error)
      isRead = false
    })
  for await (const line of examine(command.server, { token, signal: io.signal, longMs })) {
    if (line.verdict === 'problem') counts.problem++
    if (line.verdict === 'skipped' && line.words === '') counts.skipped++
    const text = command.json ? `${JSON.stringify(line)}\n` : inWords(line, columns)
    if (!command.quiet || line.verdict === 'problem') await say(text)
    if (!isRead) break
  }
  if (isRead && !command.json && !command.quiet) await say(`${summary(counts)}\n`)
  return counts.problem === 0 ? EXIT_STATUS.ok : EXIT_STATUS.unavailable
}

interface Counts {
  readonly problem: number
  readonly skipped: number
  readonly isLong: boolean
}

function summary({ problem, skipped, isLong }: Counts): string {
  if (problem === 0)
    return isLong ? 'All is well.' : 'All is well. Only --long sees a proxy that cuts idle connections.'
  const problems = problem === 1 ? '1 problem' : `${problem} problems`
  if (skipped === 0) return `${problems}.`
  return `${problems}; ${skipped === 1 ? '1 check' : `${skipped} checks`} had to be skipped.`
}

/** A line of the report, and below it the cause and what mends it. Commands and configuration are never folded. */
export function inWords(
  { check, verdict, words, cause, mend, why }: Line,
  columns: number | undefined,
): string {
  const first = words === '' ? `${verdict}: ${check}` : `${verdict}: ${check}: ${oneLine(words)}`
  const head = folded(cause === undefined || verdict !== 'problem' ? first : `${first} [${cause}]`, columns)
  const reason = why === undefined ? [] : folded(`  ${why}`, columns)
  const remedies = mend.map(({ place, line }) => (place === 'you' ? `  Fix: ${line}` : `  ${place}: ${line}`))
  return `${[...head, ...reason, ...remedies].join('\n')}\n`
}

/** Breaks a text between words, and sets the lines behind the first one in. */
function folded(text: string, columns = Number.POSITIVE_INFINITY): string[] {
  const indent = /^ */.exec(text)?.[0] ?? ''
  const lines: string[] = []
  let line = indent
  for (const word of text.trim().split(' ')) {
    if (line.trim() !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = '  '
    }
    line += line.trim() === '' ? word : ` ${word}`
  }
  return [...lines, line]
}
