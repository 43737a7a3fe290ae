import { constants, openSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { ReadStream, WriteStream } from 'node:tty'
import { interrupted } from '../node/interrupted.js'
import type { Io } from './io.js'
import { TerminalOutput } from './terminal-output.js'

/*
 * Asks on the terminal itself, which works while stdin and stdout are pipes, and doesn't show what is typed.
 *
 * While we ask, the terminal gives us each key as it comes, also Ctrl-C and Ctrl-Z. We hand those on as the signals that
 * they are to everyone else: to all programs of our line, such as `tar c photos | ess send --password`. Before anything
 * can stop or end us, the terminal gets its modes back. After SIGKILL it is a shell that puts them right.
 */

/** The terminal that a process belongs to, whatever its streams are. */
const TERMINAL = '/dev/tty'

const SIGNAL_KEYS: ReadonlyMap<string, NodeJS.Signals> = new Map([
  ['\u0003', 'SIGINT'],
  ['\u001a', 'SIGTSTP'],
  ['\u001c', 'SIGQUIT'],
])
const ENTER = /^[\r\n]$/
const BACKSPACE = /^[\b\u007f]$/
const CTRL_D = '\u0004'
const CTRL_U = '\u0015'
const ESC = '\u001b'
/** What an arrow or another such key sends, and what a terminal puts around a paste. */
const KEY_SEQUENCE = new RegExp(`${ESC}(?:\\[[\\d;?]*[ -/]*[@-~]|O.)`, 'g')

/** Asks a question, and resolves with the line that was typed: undefined for Ctrl-D alone. */
export type Ask = (question: string) => Promise<string | undefined>

/**
 * Opens the terminal for as long as `work` takes. Resolves with undefined if there is none. What was typed or pasted ahead
 * is the answer to the next question. Rejects with EssError `interrupted`.
 */
export async function onTerminal<T>(
  { signal, job }: Pick<Io, 'signal' | 'job'>,
  work: (ask: Ask) => Promise<T>,
): Promise<T | undefined> {
  const terminal = openTerminal()
  if (terminal === undefined) return undefined
  const prompt = new Prompt(terminal)
  const stop = () => prompt.end()
  const offJob = job?.onStop(
    () => {
      prompt.pause()
      // Where there is no job control, SIGTSTP stops nothing, and no SIGCONT will come.
      setImmediate(() => prompt.resume())
    },
    () => prompt.resume(),
  )
  signal.addEventListener('abort', stop, { once: true })
  try {
    if (signal.aborted) throw interrupted()
    return await work((question) => prompt.ask(question))
  } finally {
    signal.removeEventListener('abort', stop)
    offJob?.()
    prompt.close()
  }
}

interface Terminal {
  readonly input: ReadStream
  readonly output: WriteStream
}

function openTerminal(): Terminal | undefined {
  try {
    // Each has a descriptor of its own, because each closes it.
    const open = (flags: number) => openSync(TERMINAL, flags | constants.O_NOCTTY)
    return {
      input: new ReadStream(open(constants.O_RDONLY)),
      output: new WriteStream(open(constants.O_WRONLY)),
    }
  } catch {
    // A service, cron and `ssh HOST ess …` have no terminal.
    return undefined
  }
}

class Prompt {
  readonly #input: ReadStream
  readonly #output: WriteStream
  readonly #screen: TerminalOutput
  readonly #decoder = new StringDecoder('utf8')
  /** The keys that no question has taken yet. */
  #keys: string[] = []
  #question: Question | undefined
  #hasEnded = false

  constructor({ input, output }: Terminal) {
    this.#input = input
    this.#output = output
    this.#screen = new TerminalOutput(output)
    input.on('data', (bytes: Buffer) => this.#take(bytes))
    // The terminal is gone.
    input.on('end', () => this.end()).on('error', () => this.end())
    output.on('error', () => {})
  }

  ask(question: string): Promise<string | undefined> {
    if (this.#hasEnded) return Promise.reject(interrupted())
    return new Promise((resolve, reject) => {
      this.#question = { text: question, line: [], resolve, reject }
      this.resume()
      this.#answer()
    })
  }

  /** Gives the terminal back, for as long as another program has it. */
  pause(): void {
    if (this.#input.isRaw) this.#input.setRawMode(false)
  }

  /** Takes it again, and asks again. You may call it again. */
  resume(): void {
    if (this.#question === undefined || this.#input.isRaw) return
    this.#input.setRawMode(true)
    this.#input.resume()
    this.#screen.write(`\r${this.#question.text}`)
  }

  /** Fails the question. */
  end(): void {
    this.#hasEnded = true
    const question = this.#question
    this.#done()
    question?.reject(interrupted())
  }

  close(): void {
    this.#done()
    this.#input.destroy()
    this.#output.destroy()
  }

  #take(bytes: Buffer): void {
    this.#keys.push(...this.#decoder.write(bytes).replace(KEY_SEQUENCE, ''))
    this.#answer()
  }

  #answer(): void {
    for (let key = this.#next(); key !== undefined; key = this.#next()) this.#press(key)
  }

  #next(): string | undefined {
    return this.#question === undefined ? undefined : this.#keys.shift()
  }

  #press(key: string): void {
    const question = this.#question
    if (question === undefined) return
    const signal = SIGNAL_KEYS.get(key)
    if (signal !== undefined) this.#handOn(signal)
    else if (ENTER.test(key) || (key === CTRL_D && question.line.length === 0)) {
      this.#done()
      question.resolve(key === CTRL_D ? undefined : question.line.join(''))
    } else if (BACKSPACE.test(key)) question.line.pop()
    else if (key === CTRL_U) question.line = []
    else if (!/^\p{Cc}$/u.test(key)) question.line.push(key)
  }

  #handOn(signal: NodeJS.Signals): void {
    this.pause()
    process.kill(0, signal)
  }

  /** The cursor goes to the next line, because the Enter was not shown either. */
  #done(): void {
    if (this.#question === undefined) return
    this.#question = undefined
    this.#input.pause()
    this.pause()
    this.#screen.write('\n')
  }
}

interface Question {
  readonly text: string
  /** What was typed, by characters. */
  line: string[]
  readonly resolve: (line: string | undefined) => void
  readonly reject: (error: Error) => void
}
