import { formatBytes, formatDuration } from './units.js'

/*
 * Everything that the pages say is in four tables, from which a translation can be made: this one and its three neighbours.
 * They are apart so that no page loads the words of another. A key is always written out in full, as `COMMON.cancel`, which is
 * how a test finds the ones that nothing uses. What a failure says is not here: `problems.ts` has its words, and some
 * come from the server or the other side, as they are.
 */

/** What several pages say, with and without their scripts. */
export const COMMON = {
  sendTitle: 'Send files or text',
  sealedTitle: 'An encrypted file',
  text: 'A text',
  nameless: 'A file without a name',
  sizeUnknown: 'size not known',
  worksOnce: 'this link works once',
  notStarted: 'The sender has not started yet. Your download begins when it does.',
  terminal: 'In a terminal',
  withEss: 'With ess:',
  withNode: 'With Node alone:',
  withCurl: 'With curl:',

  cancel: 'Cancel',
  cancelled: 'Cancelled',
  copied: 'Copied',
  /** Some facts beside one another, such as a name and a size. */
  row: (facts: readonly string[]) => facts.join(' · '),
  tryingOn: (seconds: number) => `This page keeps trying for another ${formatDuration(seconds)}.`,
  rate: (bytesPerSecond: number) => `${formatBytes(Math.round(bytesPerSecond))}/s`,
  left: (seconds: number) => `${formatDuration(seconds)} left`,
  unreachable: 'The server can’t be reached. Check your connection, and try again.',
  notEss: (status: number) => `The server answered with HTTP ${status}, and not as ESS.`,
} as const
