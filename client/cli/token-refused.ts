import type { EssError } from '../../shared/index.js'
import { tokenWords } from '../../shared/token-words.js'
import type { TransferCommand } from './arguments.js'
import type { Io } from './io.js'
import { sourceOfToken } from './token.js'

/** What a person reads about a 401: the line of the error, and the line after it, if there is one. */
export interface TokenRefusal {
  readonly words: string
  readonly next?: string
}

/**
 * Tells a missing token from a wrong one. A server of ours has the same words for both, which ours replace. The words of
 * an embedder's own server stay, and ours follow.
 */
export function tokenRefusal(
  error: EssError,
  command: TransferCommand,
  { env }: Pick<Io, 'env'>,
): TokenRefusal {
  const own = wordsFor(command, env)
  const isUsual = error.message === tokenWords(accessOf(command))
  return isUsual ? { words: own } : { words: error.message, next: own }
}

function accessOf({ command }: TransferCommand): 'send' | 'receive' {
  return command === 'send' ? 'send' : 'receive'
}

function wordsFor(command: TransferCommand, env: Io['env']): string {
  const server = new URL(command.server)
  const asked = command.command === 'get' && URL.canParse(command.idOrUrl) ? new URL(command.idOrUrl) : server
  const source = sourceOfToken(command, env)
  const has = 'The operator of the server has it.'
  if (asked.password !== '' || asked.username !== '')
    return `This server doesn't accept the password in its address. ${has}`
  if (source === undefined)
    return `You need a token to ${accessOf(command)} here. ${has} Put it into ESS_TOKEN, or into a file for --token-file.`
  if (asked.origin !== server.origin)
    return `You need a token to ${accessOf(command)} here, and yours goes only to ${server.origin}. If it is for ${asked.origin}, add --server ${asked.origin}.`
  return `This server doesn't accept ${source}. Check it, or ask the operator of the server for another.`
}
