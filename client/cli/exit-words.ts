import { EXIT_STATUS } from '../../shared/index.js'

/** What the exit statuses of a command mean. A status that it doesn't have is absent. */
export type ExitWords = Readonly<Partial<Record<keyof typeof EXIT_STATUS, string>>>

/** Every command can end like this. */
export const ANY_FAILURE = {
  bug: 'a bug in ess',
  usage: 'the command line is wrong',
  interrupted: 'you stopped it (143 by SIGTERM, 129 by SIGHUP)',
} as const satisfies ExitWords

/** Every transfer can end like this. */
export const TRANSFER_FAILURE = {
  ...ANY_FAILURE,
  refused: 'the server refused',
  absent: 'the link is wrong, used or expired, or the other side never came',
  broken: 'broken off midway',
  unavailable: 'no ESS server there, or it is full or stopping',
  local: 'a file here could not be read or written',
} as const satisfies ExitWords

/** Statuses with their meanings, in the order of the numbers. */
export function inOrder(words: ExitWords): readonly (readonly [status: number, words: string])[] {
  return Object.entries(words)
    .map(([key, text]) => [EXIT_STATUS[key as keyof ExitWords], text] as const) // Object.entries types keys as text.
    .sort(([one], [other]) => one - other)
}
