import { statSync } from 'node:fs'
import { EssError, isSocketId, withoutUserinfo } from '../../shared/index.js'
import { bytesOf } from '../files/raw-arguments.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { COMMAND_NAMES, rowOf } from './commands.js'
import { absolute } from './current-folder.js'
import { readLink } from './link.js'
import { meant } from './meant.js'
import type { Words } from './parser.js'
import { shellWord, tarLine } from './tar-line.js'

/** The error for a word that is no command: it may be a file or a link, whose command was left out. */
export function noCommand(typed: string, words: Words, cwd: string | undefined): EssError {
  const shown = withoutUserinfo(typed)
  const line = shellWord(shown)
  if (isFolder(typed, cwd)) {
    const tar = tarLine([typed], cwd, words)
    return usage(`${shown} is a folder, not a command. To send it as one file, run ${tar}`)
  }
  if (exists(typed, cwd)) return usage(`${shown} is a file, not a command. To send it, run ess send ${line}`)
  const isNear = nearestCommand(typed) !== undefined
  if (!isNear && isLink(typed))
    return usage(`${shown} is a link, not a command. To receive it, run ess get ${line}`)
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
  return meant(typed.toLowerCase(), names)
}

function isLink(typed: string): boolean {
  try {
    const link = readLink(typed, DEFAULT_SERVER)
    return isSocketId(link) || new URL(link).pathname !== '/'
  } catch (error) {
    if (error instanceof EssError) return false
    throw error
  }
}

/** Several files, or a folder, are refused with the line that sends them today. Undefined for what can be sent. */
export function refusalToSend(words: Words, cwd: string | undefined): EssError | undefined {
  const { operands } = words
  const [file = '', ...others] = operands
  if (others.length === 0) {
    if (!isFolder(file, cwd)) return undefined
    return usage(`${file} is a folder. To send it as one file, run ${tarLine([file], cwd, words)}`)
  }
  const joined = operands.join(' ')
  if (exists(joined, cwd) && !operands.some((one) => exists(one, cwd)))
    return usage(`${joined} has a space in its name. Quote it: ess send ${shellWord(joined)}`)
  const tar = tarLine(operands, cwd, words)
  return usage(`ess send takes one file, and you named ${operands.length}. To send them as one, run ${tar}`)
}

/** The link in the operand of `ess get`. Throws EssError `usage`. */
export function linkIn(pasted: string, server: string, cwd: string | undefined): string {
  try {
    return readLink(pasted, server)
  } catch (error) {
    if (!exists(pasted, cwd)) throw error
    throw usage(`${pasted} is a file here, not a link. To send it, run ess send ${shellWord(pasted)}`)
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
