import { createWriteStream, fstatSync, statSync } from 'node:fs'
import { basename, sep } from 'node:path'
import type { Writable } from 'node:stream'
import { EssError, formatBytes, SEVERAL_FILES, withoutUserinfo } from '../../shared/index.js'
import { mayHaveBeenClosed } from '../files/open-file.js'
import { collectWhenFull } from '../node/garbage.js'
import { download, type Received } from '../receive/download.js'
import { type Destination, written } from '../receive/sink.js'
import type { Command } from './arguments.js'
import { absolute } from './current-folder.js'
import { Interruptions } from './interruptions.js'
import type { Io } from './io.js'
import { A_TEXT, CONNECTION_LOST, NODE_AWAY, type Screen, SERVER_AWAY, summary } from './screen.js'
import { shellWord } from './shell-word.js'
import { shownText } from './shown-text.js'
import { titleOf } from './title.js'
import { readToken } from './token.js'

type GetCommand = Extract<Command, { command: 'get' }>

/** Runs `ess get`: the bytes go where the command line says, words go to the screen. Resolves with the last line. */
export async function runGet(command: GetCommand, io: Io, screen: Screen): Promise<string> {
  const { server, wait, force, fresh } = command
  const token = await readToken(command, io)
  const identities =
    command.identity.length === 0
      ? []
      : await (await import('./keys-and-passwords.js')).identitiesOf(command, io)
  let isText = false
  const to = destination(command.output, io, (bytes) => {
    isText = true
    return shownText(bytes, (text) => {
      screen.clear()
      return written(io.stdout, Buffer.from(text))
    })
  })
  if ('stream' in to && !command.quiet && mayHaveBeenClosed(io.stdout.fd))
    io.stderr.write('ess: Standard output is closed, or /dev/null: the bytes of this download go nowhere.\n')
  let startedAt = performance.now()
  let begun = 0
  const interruptions = new Interruptions()
  let isOffered = false
  screen.connecting(withoutUserinfo(server))
  const received = await downloaded(command.idOrUrl, {
    server,
    token,
    wait,
    force,
    fresh,
    to,
    unpack: !command.noUnpack,
    identities,
    async passphrase(attempt) {
      screen.clear()
      const password = await (await import('./password.js')).knownPassword(io, attempt)
      screen.connecting(withoutUserinfo(server))
      return password
    },
    sealed: command.password,
    signal: io.signal,
    onOffer({ name, size, bundle, isSealed }) {
      startedAt = performance.now()
      isOffered = true
      if (isSealed) collectWhenFull()
      if (bundle !== undefined && size !== undefined)
        screen.note(`${titleOf(name, bundle)}, ${formatBytes(size)}`)
      screen.moving(size)
    },
    onProgress: (bytes) => screen.moved(bytes),
    onInterrupted(secondsLeft, { code }) {
      if (isOffered) interruptions.lost()
      const away = code === 'node-away' ? NODE_AWAY : SERVER_AWAY
      screen.interrupted(isOffered ? CONNECTION_LOST : away, secondsLeft)
    },
    onResumed(bytes) {
      if (interruptions.isLost) screen.resumed(bytes)
      else if (bytes > 0) {
        begun = bytes
        screen.goesOn(bytes, `Going on from ${formatBytes(bytes)}.`)
      }
      interruptions.resumed()
    },
  })
  const name = isText ? A_TEXT : titleOfReceived(received, to)
  const course = { bytes: received.bytes, ms: performance.now() - startedAt, begun }
  return `Received ${summary(name, { ...course, interruptions: interruptions.count })}`
}

function titleOfReceived({ name, path, bundle, names = [] }: Received, to: Destination): string | undefined {
  if (path === undefined) return name
  const isTar = bundle === undefined || /\.tar$/i.test(path)
  if (isTar) return basename(path)
  // Several files have no folder of their own, and `path` is the one that they went to.
  if (!('folder' in to) || names.length < 2) return titleOf(basename(path), bundle)
  return `${listOf(names)}, ${titleOf(SEVERAL_FILES, bundle)}`
}

/** How many names the last line has. */
const MAX_NAMES = 3

function listOf(names: readonly string[]): string {
  const more = names.length - MAX_NAMES
  if (more > 0) return `${names.slice(0, MAX_NAMES).join(', ')} and ${more} more`
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

/** On a terminal a text is printed by `text`. */
function destination(output: string | undefined, io: Io, text: (bytes: number) => Writable): Destination {
  if (output === '-' || (output === undefined && !io.stdout.isTTY)) return { stream: standardOutput(io) }
  if (output !== undefined) return place(output, absolute(io.cwd, output))
  if (io.cwd !== undefined) return { folder: absolute(io.cwd, '.'), text }
  throw new EssError('usage', 'The current folder is gone. cd to another one, or name a file with -o.')
}

/** Downloads, and says what the command line can do about a bundle that is not unpacked. */
async function downloaded(...all: Parameters<typeof download>): Promise<Received> {
  return await download(...all).catch((error: unknown) => {
    if (!(error instanceof EssError) || error.code !== 'unsafe-bundle') throw error
    throw new EssError(error.code, `${error.message} --no-unpack then gives you the tar itself.`, {
      cause: error,
    })
  })
}

/**
 * A folder keeps the sender's name. As with cp and mv, the folder of `-o DIR/` must exist: a mistyped path must not
 * make one.
 */
function place(typed: string, path: string): Destination {
  if (kindAt(path) === 'folder') return { folder: path }
  if (!typed.endsWith('/') && !typed.endsWith(sep)) return { file: path }
  const bare = typed.replace(/[/\\]+$/, '')
  throw new EssError(
    'file-unwritable',
    kindAt(path) === 'other'
      ? `${bare} is a file, not a folder. Choose another folder, or another name for the file: -o NAME.`
      : `There is no folder ${typed}. To make it, run mkdir -p ${shellWord(typed)}`,
  )
}

function kindAt(path: string): 'folder' | 'other' | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined) return undefined
    return found.isDirectory() ? 'folder' : 'other'
  } catch {
    // We may not look there, and so can't write there either: that will be told of a file.
    return undefined
  }
}

/**
 * Where stdout is a file, Node ignores how many bytes each of its writes took: a full disk would cut the file
 * silently. A file stream of our own writes the rest, until a write fails.
 */
function standardOutput({ stdout }: Io): Writable {
  if (stdout.fd === undefined || !fstatSync(stdout.fd).isFile()) return stdout
  return createWriteStream('', { fd: stdout.fd, autoClose: false })
}
