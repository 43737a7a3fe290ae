import { isolated } from './isolated.js'
import { formatBytes, formatCount, formatDuration } from './units.js'

/** What the page says that sends: see `page-words.ts`. */
export const SENDING = {
  intro: 'It goes to the other person through this server, which stores nothing.',
  files: 'Choose files',
  moreFiles: 'Add files',
  folder: 'Choose a folder',
  moreFolder: 'Add a folder',
  drop: 'or drop them here',
  typeText: 'Or type a text',
  chosen: 'To be sent',
  remove: (name: string) => `Remove ${isolated(name)}`,
  /** `3 files, 12.0 MB`, of a folder or of all that was chosen. */
  sum: (count: number, bytes: number) => `${formatCount(count, 'file')}, ${formatBytes(bytes)}`,
  encrypt: 'Encrypt it',
  encrypted:
    'Only people with the whole link can open it: the end of the link is the key, which this server never gets.',
  notEncrypted: 'This server will be able to read it, and its name.',
  token: 'Token',
  tokenHint: 'This server asks for a token, which its operator has. This tab keeps it until you close it.',
  tokenNeeded: 'The token is missing.',
  tokenRefused: 'This token is not right. Ask the operator of this server.',
  send: 'Send',
  nothing: 'Choose a file first, or type a text.',
  longText: 'This text is too long. Save it as a file, and send that.',
  noPieces:
    'This server does not let a transfer go on after a cut. If the connection breaks, you begin again.',

  preparing: 'Making the link …',
  ready: 'Your link is ready',
  give: 'Give this link to the person who should have it. It works once.',
  link: 'Link',
  copyLink: 'Copy the link',
  notCopied: 'Your browser doesn’t let this page copy. Select the link, and copy it yourself.',
  share: 'Share …',
  qr: 'The link as a QR code',
  waiting: (seconds: number) => `Waiting for the other side. The link expires in ${formatDuration(seconds)}.`,
  keepOpen: 'Keep this page open until it is delivered.',
  withAge:
    'With curl and age. First save the key as key.txt: it is the end of the link, from AGE-SECRET-KEY on.',

  sending: 'Sending',
  /** What the bar shows. */
  sent: 'Sent',
  /** `37 % · photos · 12.0 MB`, in the tab. */
  percent: (part: number) => `${Math.floor(100 * part)} %`,
  checking: 'All sent. Waiting for the other side to confirm it.',
  offline: 'The server can’t be reached. The transfer goes on when the connection is back.',
  receiverAway: 'The other side has lost its connection. The transfer goes on when it comes back.',
  receiverHas: (seconds: number) => `It has ${formatDuration(seconds)} to come back.`,

  delivered: 'Delivered',
  deliveredIn: (seconds: number) =>
    `The other side has every byte. It took ${formatDuration(Math.max(1, seconds))}.`,
  unconfirmed: 'Sent, but not confirmed',
  askThem:
    'Everything was sent, but the other side did not confirm that it arrived. Ask the person whether the file is complete.',
  failed: 'Not delivered',
  stopped: 'You stopped the transfer. The other side doesn’t have the file.',
  stoppedLate: 'You stopped the transfer when all was on its way. It may have arrived all the same.',
  somethingElse: 'Send something else',
  again: 'Send it again',
  back: 'Back to the form',

  tooLarge: (own: string, most: string) => `This is ${own}, and this server takes at most ${most} at a time.`,
  tooLargeAtOnce: (most: string) =>
    `This server takes no pieces (--resume-within 0), so your browser would have to keep the whole file in its memory. It can do that up to ${most}. Send it with ess.`,
  unreadable: (path: string) =>
    `Your browser cannot read ${isolated(path)}. It may have been changed, moved or deleted since you chose it. Choose it again.`,
  changed:
    'The file was changed, moved or deleted while it was sent. Choose it again when no program writes to it.',
  lostUnopened:
    'The connection to the server broke before anyone had opened the link, and the link no longer works. Nothing was sent. Send it again for a new link.',
  lost: 'The connection to the server broke before it said how the transfer ended. Ask the receiver whether the file arrived, or send it again.',
} as const
