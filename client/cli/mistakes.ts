import { statSync } from 'node:fs'
import { EssError, isSocketId, withoutUserinfo } from '../../shared/index.js'
import { bytesOf } from '../files/raw-arguments.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { COMMAND_NAMES, type CommandName, rowOf } from './commands.js'
import { absolute } from './current-folder.js'
import { readLink } from './link.js'
import { meant } from './meant.js'
import type { Words } from './parser.js'
import { isHttpUrl } from './server-address.js'
import { shellWord } from './shell-word.js'

/** The error for a word that is no command: it may be a file or a link, whose command was left out. */
export function noCommand(typed: string, cwd: string | undefined): EssError {
  if (typed.trim() === '') return usage(`The name of the command is empty. ${adviceOnCommand(typed, 'ess ')}`)
  const shown = withoutUserinfo(typed)
  const line = shellWord(shown)
  if (isFolder(typed, cwd))
    return usage(`${shown} is a folder, not a command. To send it, run ess send ${line}`)
  if (exists(typed, cwd)) return usage(`${shown} is a file, not a command. To send it, run ess send ${line}`)
  const isNear = nearestCommand(typed) !== undefined
  if (!isNear && isLink(typed)) return usage(useGet(typed, 'command'))
  return usage(`There is no command ${shown}. ${adviceOnCommand(typed, 'ess ')}`)
}

/** What to type in place of a wrong command; `before` is what stands before it. */
export function adviceOnCommand(typed: string, before: string): string {
  if (typed === 'version') return 'Did you mean ess --version?'
  const near = nearestCommand(typed)
  return near === undefined
    ? `The commands are ${COMMAND_NAMES.join(', ')}.`
    : `Did you mean ${before}${near}?`
}

function nearestCommand(typed: string): string | undefined {
  const names = COMMAND_NAMES.flatMap((name) => [name, ...rowOf(name).aliases])
  const small = typed.toLowerCase()
  return OTHER_WORDS.get(small) ?? meant(small, names)
}

/** What other programs call our commands. */
const OTHER_WORDS: ReadonlyMap<string, CommandName> = new Map([
  ['put', 'send'],
  ['upload', 'send'],
  ['push', 'send'],
  ['share', 'send'],
  ['fetch', 'get'],
  ['download', 'get'],
  ['pull', 'get'],
  ['recv', 'get'],
  ['check', 'doctor'],
])

function isLink(typed: string): boolean {
  try {
    const link = readLink(typed, DEFAULT_SERVER)
    return isSocketId(link) || new URL(link).pathname !== '/'
  } catch (error) {
    if (error instanceof EssError) return false
    throw error
  }
}

/** Undefined for what can be sent, as far as its names tell. */
export function refusalToSend({ operands, options }: Words, cwd: string | undefined): EssError | undefined {
  if (options.text === true) return undefined
  if (operands.includes(''))
    return usage('The name of a file is empty. Name a file, as in ess send report.pdf, or pipe something in.')
  const link = operands.find((one) => isHttpUrl(one) && isLink(one))
  if (link !== undefined) return usage(useGet(link, 'file'))
  if (operands.length < 2) return undefined
  if (operands.includes('-'))
    return usage('- is standard input, which is sent by itself: ess send -. Or put it into a file first.')
  const joined = operands.join(' ')
  return exists(joined, cwd) && !operands.some((one) => exists(one, cwd))
    ? usage(`${joined} has a space in its name. Quote it: ess send ${shellWord(joined)}`)
    : undefined
}

function useGet(link: string, whatItIsNot: 'command' | 'file'): string {
  // A fragment may be a key.
  const [shown = '', fragment] = withoutUserinfo(link).split('#')
  const line =
    fragment === undefined ? `run ess get ${shellWord(shown)}` : 'type ess get before the whole link.'
  return `${shown} is a link, not a ${whatItIsNot}. To receive it, ${line}`
}

/** The link in the operand of `ess get`. Throws EssError `usage`. */
export function linkIn(pasted: string, server: string, cwd: string | undefined): string {
  try {
    return readLink(pasted, server)
  } catch (error) {
    if (!exists(pasted, cwd)) throw error
    const what = isFolder(pasted, cwd) ? 'a folder' : 'a file'
    throw usage(`${pasted} is ${what} here, not a link. To send it, run ess send ${shellWord(pasted)}`)
  }
}

function exists(path: string, cwd: string | undefined): boolean {
  return statOf(path, cwd) !== undefined
}

function isFolder(path: string, cwd: string | undefined): boolean {
  return statOf(path, cwd)?.isDirectory() === true
}

function statOf(path: string, cwd: string | undefined) {
  if (path === '' || path === '-' || cwd === undefined) return undefined
  try {
    return statSync(bytesOf(path) ?? absolute(cwd, path), { throwIfNoEntry: false })
  } catch {
    // A name that can't be a path, or a folder that can't be searched: opening the file will say so.
    return undefined
  }
}

function usage(message: string): EssError {
  return new EssError('usage', message)
}
