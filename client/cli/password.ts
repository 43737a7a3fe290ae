import { isUtf8 } from 'node:buffer'
import { EssError } from '../../shared/index.js'
import type { Io } from './io.js'
import { OPTIONS } from './options.js'
import { readSecretFile } from './secret-file.js'
import { type Ask, onTerminal } from './terminal-prompt.js'

/** How often a password is asked for before we give up. */
const TRIES = 3
const VARIABLE = OPTIONS.password.variable

type Outside = Pick<Io, 'env' | 'cwd' | 'signal' | 'job'>

/**
 * The password for what is sent: from the file that ESS_PASSWORD_FILE names, or typed twice on the terminal. Throws EssError
 * `usage` or `file-unreadable`.
 */
export async function newPassword(io: Outside): Promise<string> {
  return (await passwordInFile(io)) ?? (await asked(io, chooseOne))
}

/**
 * The password of what is received: from the same file, or typed once. Undefined if no other try makes sense; `attempt` is 1
 * at first. Throws the same errors.
 */
export async function knownPassword(io: Outside, attempt: number): Promise<string | undefined> {
  const given = await passwordInFile(io)
  if (given !== undefined) return attempt === 1 ? given : undefined
  if (attempt > TRIES) return undefined
  const question = attempt === 1 ? 'Password: ' : 'That is not the password. Password: '
  return await asked(io, async (ask) => {
    const typed = await ask(question)
    if (typed === undefined) throw new EssError('usage', 'No password was typed.')
    return typed
  })
}

async function asked(io: Outside, work: (ask: Ask) => Promise<string>): Promise<string> {
  const typed = await onTerminal(io, work)
  if (typed !== undefined) return typed
  throw new EssError(
    'usage',
    `There is no terminal to ask for the password. Write it into a file, and name that file in ${VARIABLE}.`,
  )
}

/** With what is not shown, a typing error would make a file that no one can open. */
async function chooseOne(ask: Ask): Promise<string> {
  let question = 'Password: '
  for (let tries = 0; tries < TRIES; tries++) {
    const first = await ask(question)
    if (first === undefined) break
    question = 'An empty password protects nothing. Password: '
    if (first === '') continue
    if ((await ask('The same again: ')) === first) return first
    question = 'The two are not the same. Password: '
  }
  throw new EssError('usage', 'No password was chosen. Run the command again.')
}

async function passwordInFile({ env, cwd }: Outside): Promise<string | undefined> {
  const path = env[VARIABLE] || undefined
  if (path === undefined) return undefined
  const bytes = await readSecretFile(path, { namedBy: VARIABLE, what: 'password' }, cwd)
  // What an editor or echo puts behind the last line is no part of it. A space may be.
  const password = bytes.toString().replace(/\r?\n$/, '')
  if (password === '')
    throw new EssError('usage', `The password in ${path} is empty. Write it into that file.`)
  if (!isUtf8(bytes) || /[\r\n]/.test(password))
    throw new EssError('usage', `The password in ${path} must be one line of UTF-8.`)
  return password
}
