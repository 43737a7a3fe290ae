import { statSync } from 'node:fs'
import {
  EssError,
  encodeStatus,
  formatBytes,
  isTerminal,
  shorterThanAsked,
  toFailedProblem,
  withoutUserinfo,
} from '../../shared/index.js'
import { mayHaveBeenClosed } from '../files/open-file.js'
import { bytesOf } from '../files/raw-arguments.js'
import { unwritable } from '../files/unwritable.js'
import { collectWhenFull } from '../node/garbage.js'
import { written } from '../receive/sink.js'
import { send } from '../send/send.js'
import type { Encryption } from '../send/send-options.js'
import { fromStream, isSameFile, openFile, type Source } from '../send/source.js'
import type { Command } from './arguments.js'
import { absolute } from './current-folder.js'
import { receivingLines, type Sent, shortLink } from './hints.js'
import { Interruptions } from './interruptions.js'
import type { Io } from './io.js'
import {
  A_TEXT,
  CONNECTION_LOST,
  RECEIVER_LOST,
  type Screen,
  SERVER_AWAY,
  SERVER_RESTARTS,
  summary,
} from './screen.js'
import { shellWord } from './shell-word.js'
import { titleOf } from './title.js'
import { readToken } from './token.js'
import { withoutKeys } from './without-keys.js'

type SendCommand = Extract<Command, { command: 'send' }>

/** Runs `ess send`: the URL goes to stdout, everything else to the screen. Resolves with the last line. */
export async function runSend(command: SendCommand, io: Io, screen: Screen): Promise<string> {
  let bytes = 0
  const interruptions = new Interruptions()
  let isOver = false
  const link = watchLink(io)
  let isMoving = false
  const resumed = () => {
    if (interruptions.isLost || isMoving) screen.resumed(bytes)
    interruptions.resumed()
    isMoving = false
  }
  try {
    if (command.refusal !== undefined) throw command.refusal
    const token = await readToken(command, io)
    const source = await openOperands(command, io, screen)
    const encrypt = await readEncryption(command, io).catch(async (error: unknown) => {
      await source.close()
      throw error
    })
    const { server, ttl, reserve } = command
    // That of a bundle has the name that was given in it.
    const given = source.bundle === undefined ? command.name : undefined
    const name = given ?? source.name
    const title = command.text ? A_TEXT : titleOf(name, source.bundle)
    const { size, bundle } = source
    const what = bundle && `${title}, ${formatBytes(size ?? 0)}`
    const sent = { name, what, kind: kindOf(command, source), lock: lockOf(encrypt) }
    if (!command.quiet) warn(command, io)
    screen.connecting(withoutUserinfo(server))
    if (encrypt !== false) collectWhenFull()
    const sending = send(source, {
      ...{ server, token, name: given, ttl, reserve },
      encrypt,
      onAway: (secondsLeft) => screen.interrupted(SERVER_AWAY, secondsLeft),
      signal: link.signal,
    })
    // What is encrypted takes a little more, of which a person need not know.
    const inside = (sentBytes: number) =>
      encrypt === false || source.size === undefined ? sentBytes : Math.min(sentBytes, source.size)
    let connectedAt: number | undefined
    for await (const event of sending) {
      if (command.json && event.event !== 'opened') io.stdout.write(encodeStatus(event, 'ndjson'))
      isOver = isTerminal(event)
      if (event.event === 'opened') {
        screen.clear()
        link.print(command.json ? encodeStatus(event, 'ndjson') : `${event.url}\n`)
        if (event.ttlAsked !== undefined && !command.quiet)
          io.stderr.write(`ess: ${shorterThanAsked(event.ttl, event.ttlAsked)}\n`)
        screen.waiting(receivingLines(event, sent), event.ttl)
        if (command.qr) {
          // The code comes last, or a low window would lose its first rows.
          if (sent.lock !== 'none') screen.print(ENCRYPTED_FOR_BROWSERS)
          screen.print(await codeOfLink(shortLink(event), io))
        }
      } else if (event.event === 'waiting' || event.event === 'reserved') {
        screen.timeLeft(event.secondsLeft)
        resumed()
      } else if (event.event === 'interrupted') {
        bytes = inside(event.bytes)
        if (!isMoving) interruptions.lost()
        const own = isMoving ? SERVER_RESTARTS : CONNECTION_LOST
        screen.interrupted(event.side === 'receiver' ? RECEIVER_LOST : own, event.secondsLeft)
      } else if (event.event === 'moved') {
        isMoving = true
        // A link that waits is not interrupted by it.
        if (connectedAt !== undefined) interruptions.lost()
        screen.interrupted(SERVER_RESTARTS)
      } else if (event.event === 'rewind') interruptions.lost()
      else if (event.event === 'connected') {
        connectedAt = performance.now()
        screen.moving(source.size)
        interruptions.resumed()
        isMoving = false
      } else if ('bytes' in event) {
        // A last report of progress may come after the loss.
        const isBack = event.event === 'resumed' || inside(event.bytes) > bytes
        bytes = inside(event.bytes)
        if (isBack) resumed()
        screen.moved(bytes)
      }
    }
    const { confirmed } = await sending.verdict
    if (!confirmed) {
      const taken = `All ${formatBytes(bytes)} went out, but the receiver has not confirmed that they arrived.`
      throw new EssError('unconfirmed', `${taken} Ask the receiver whether the file is whole.`)
    }
    const course = {
      bytes,
      ms: performance.now() - (connectedAt ?? performance.now()),
      interruptions: interruptions.count,
    }
    return `Delivered ${summary(title, course)}`
  } catch (thrown) {
    const error = link.failure ?? thrown
    // The events tell of every ending, also of one that only this side noticed.
    if (command.json && !isOver && error instanceof EssError)
      io.stdout.write(
        withoutKeys(encodeStatus({ event: 'failed', problem: toFailedProblem(error), bytes }, 'ndjson')),
      )
    throw error
  }
}

/**
 * Prints the link. If that fails (the disk is full, the reading program has exited), no receiver can come. Then
 * `signal` cancels the transfer, and `failure` says why. The user's own interruption aborts `signal` too.
 */
function watchLink({ stdout, signal }: Io) {
  const unwritten = new AbortController()
  let failure: EssError | undefined
  return {
    signal: AbortSignal.any([signal, unwritten.signal]),
    get failure() {
      return failure
    },
    print(line: string): void {
      written(stdout, Buffer.from(line)).catch((cause: unknown) => {
        failure = unwritable('the link', cause, 'The transfer was cancelled.')
        unwritten.abort()
      })
    },
  }
}

/** Loads what reads keys and asks for passwords only where it is needed. */
async function readEncryption(command: SendCommand, io: Io): Promise<boolean | Encryption> {
  return command.encrypt && (await (await import('./keys-and-passwords.js')).encryptionOf(command, io))
}

/** A QR code is made for a phone, which has a browser and no ess. In lines for the narrowest terminal. */
const ENCRYPTED_FOR_BROWSERS =
  "A phone's browser saves the encrypted\nfile. It takes ess or age to open it.\n"

function kindOf({ text }: SendCommand, { bundle }: Source): Sent['kind'] {
  if (text) return 'text'
  return bundle === undefined ? 'file' : 'bundle'
}

function lockOf(encrypt: boolean | Encryption): Sent['lock'] {
  if (typeof encrypt === 'boolean') return encrypt ? 'key in the link' : 'none'
  return encrypt.passphrase === undefined ? 'own key' : 'password'
}

/** Loads the code that makes it only here. */
async function codeOfLink(link: string, { stderr, env }: Io): Promise<string> {
  const { qrCode } = await import('./qr-code.js')
  const isTerminal = stderr.isTTY === true
  const isColored = isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  const { columns, rows } = isTerminal ? stderr : {}
  return qrCode(link, { columns, rows, isColored })
}

async function openOperands(command: SendCommand, io: Io, screen: Screen): Promise<Source> {
  const { operands, text } = command
  if (text) return await (await import('./sent-text.js')).openText(command, io)
  const [file, ...others] = operands
  if (file === undefined && io.stdin.isTTY)
    throw new EssError(
      'usage',
      'There is nothing to send. Name a file or a folder, as in ess send report.pdf, or pipe something in.',
    )
  if (file === undefined || file === '-' || isSocketOfStdin(file)) return fromStream(io.stdin)
  const path = pathOf(file, io)
  if (others.length > 0 || isFolder(path)) {
    screen.examining()
    return await openBundle(command, io, screen).finally(() => screen.clear())
  }
  if (io.stdout.fd !== undefined && isSameFile(path, io.stdout.fd))
    throw new EssError(
      'usage',
      `Standard output goes to ${file}, the file that is to be sent. Write the link to another file.`,
    )
  return await openFile(path)
}

async function openBundle(command: SendCommand, io: Io, screen: Screen): Promise<Source> {
  const { operands, exclude, gitignore, dereference } = command
  // The code that makes tars is loaded for them alone.
  const { bundleSource } = await import('../bundle/pack/bundle-source.js')
  return await bundleSource(
    operands.map((one) => pathOf(one, io)),
    {
      ...{ exclude, gitignore, followLinks: dereference, writtenTo: io.stdout.fd, signal: io.signal },
      name: command.name,
      onLooked: (items) => screen.examined(items),
      onUnmatched: (patterns) => {
        for (const pattern of patterns) screen.warn(unmatchedWords(pattern))
      },
    },
  )
}

/** Not refused: a script may exclude what isn't always there. */
function unmatchedWords(pattern: string): string {
  return `--exclude ${shellWord(pattern)} has no effect.`
}

function pathOf(operand: string, { cwd }: Io): string | Buffer {
  return bytesOf(operand) ?? absolute(cwd, operand)
}

function isFolder(path: string | Buffer): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  } catch {
    // Opening it will report the trouble.
    return false
  }
}

/** A closed stream isn't refused, because it can't be told from a /dev/null that was meant. */
function warn(command: SendCommand, io: Io): void {
  warnOfLostStreams(command, io)
  if (command.isEncryptionUnknown)
    io.stderr.write(
      'ess: This is not encrypted. Your configuration may say otherwise, but it cannot be read; --encrypt would do it.\n',
    )
}

function warnOfLostStreams({ operands, text }: SendCommand, { stdin, stdout, stderr }: Io): void {
  if (mayHaveBeenClosed(stdout.fd))
    stderr.write('ess: Standard output is closed, or /dev/null: you cannot read the link there.\n')
  const isStdin = !text && (operands.join() === '' || operands.join() === '-')
  if (isStdin && mayHaveBeenClosed(stdin.fd))
    stderr.write('ess: Standard input is closed, or /dev/null: the receiver gets an empty file.\n')
}

/** Where a program or ssh starts us, /dev/stdin may be a socket, and a socket can't be opened by its path. */
function isSocketOfStdin(file: string): boolean {
  if (!/^\/(?:dev\/(?:stdin|fd\/0)|proc\/self\/fd\/0)$/.test(file)) return false
  return statSync(file, { throwIfNoEntry: false })?.isSocket() === true
}
