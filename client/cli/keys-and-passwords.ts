import { existsSync } from 'node:fs'
import { EssError } from '../../shared/index.js'
import { parseIdentityFile, parseRecipientFile } from '../seal/key-file.js'
import { recipientKind } from '../seal/keys.js'
import type { Encryption } from '../send/send-options.js'
import type { Command } from './arguments.js'
import { absolute } from './current-folder.js'
import type { Io } from './io.js'
import { newPassword } from './password.js'
import { readSecretFile } from './secret-file.js'
import { shellWord } from './shell-word.js'

type SendCommand = Extract<Command, { command: 'send' }>
type GetCommand = Extract<Command, { command: 'get' }>

/**
 * For whom `ess send` encrypts; true: anyone who has the link can open it. A password is asked for here, before anything is sent. Throws
 * EssError `usage` or `file-unreadable`.
 */
export async function encryptionOf(
  { to, toFile, password }: SendCommand,
  io: Io,
): Promise<true | Encryption> {
  if (password) return { passphrase: await newPassword(io) }
  for (const key of to) checkRecipient(key, io)
  const inFiles = await keysIn(toFile, '--to-file', parseRecipientFile, io)
  const recipients = [...to, ...inFiles]
  return recipients.length === 0 ? true : { recipients }
}

function checkRecipient(key: string, { cwd }: Io): void {
  if (!/^age/i.test(key) && existsSync(absolute(cwd, key)))
    throw new EssError(
      'usage',
      `--to takes a public key, and ${key} is a file. To read keys from it, write --to-file ${shellWord(key)}`,
    )
  recipientKind(key, '--to')
}

/** The secret keys that `ess get` was given. Throws the same errors, which never show a key. */
export function identitiesOf({ identity }: GetCommand, io: Io): Promise<readonly string[]> {
  return keysIn(identity, '--identity', parseIdentityFile, io)
}

async function keysIn(
  paths: readonly string[],
  namedBy: string,
  parse: (text: string, name: string) => readonly string[],
  { cwd }: Io,
): Promise<readonly string[]> {
  const keys: string[] = []
  for (const path of paths) {
    if (/^age-secret-key-/i.test(path)) {
      const why = 'other users of this machine can read its command lines'
      throw new EssError(
        'usage',
        `${namedBy} takes a file, not a key, because ${why}. Write the key into a file.`,
      )
    }
    const bytes = await readSecretFile(path, { namedBy, what: 'keys' }, cwd)
    keys.push(...parse(bytes.toString(), path))
  }
  return keys
}
