import { formatBytes, formatCount, formatDuration } from '../shared/index.js'
import { PAGE_WORDS } from '../shared/page-words.js'

/**
 * Everything that the page says which sends, in one place, so that it can be translated. What the page of a link says is in
 * receive/words.ts: neither has to load the words of the other.
 */
export const WORDS = {
  title: PAGE_WORDS.send,

  choose: {
    intro: 'It goes straight to the other person. This server stores nothing.',
    files: 'Choose files',
    moreFiles: 'Add files',
    folder: 'Choose a folder',
    moreFolder: 'Add a folder',
    drop: 'or drop them here',
    text: 'Or type a text',
    chosen: 'To be sent',
    remove: (name: string) => `Remove ${name}`,
    folderMark: 'folder',
    sealed: 'Encrypt it',
    sealedHint: 'Only someone with the whole link can open it. This server can’t.',
    token: 'Token',
    tokenHint: 'This server asks for a token. This tab keeps it until you close it.',
    tokenRefused: 'This token is not right. Ask the operator of this server.',
    send: 'Send',
    nothing: 'Choose a file first, or type a text.',
    longText: 'This text is too long. Save it as a file, and send that.',
    noPieces:
      'This server does not let a transfer go on after a cut. If the connection breaks, you begin again.',
  },

  link: {
    preparing: 'Making the link …',
    ready: 'Your link is ready',
    give: 'Give this link to the person who should have it. It works once.',
    label: 'Link',
    copy: 'Copy the link',
    copied: 'Copied',
    notCopied: 'Your browser doesn’t let this page copy. Select the link, and copy it yourself.',
    share: 'Share …',
    qr: 'The link as a QR code',
    waiting: (seconds: number) =>
      `Waiting for the other side. The link expires in ${formatDuration(seconds)}.`,
    keepOpen: 'Keep this page open until it is delivered.',
    terminal: PAGE_WORDS.terminal,
    byEss: 'With ess:',
    byNpx: 'With Node alone:',
    byCurl: 'With curl:',
    byAge:
      'With curl and age. First save the key as key.txt: it is the end of the link, from AGE-SECRET-KEY on.',
  },

  progress: {
    sending: 'Sending',
    label: 'Sent',
    rate: (bytesPerSecond: number) => `${formatBytes(Math.round(bytesPerSecond))}/s`,
    left: (seconds: number) => `${formatDuration(seconds)} left`,
    checking: 'All sent. Waiting for the other side to confirm it.',
    offline: 'The server can’t be reached. The transfer goes on when the connection is back.',
    receiverAway: 'The other side has lost its connection. The transfer goes on when it comes back.',
    tryingOn: (seconds: number) => `This page keeps trying for another ${formatDuration(seconds)}.`,
    receiverHas: (seconds: number) => `It has ${formatDuration(seconds)} to come back.`,
    cancel: 'Cancel',
  },

  ending: {
    delivered: 'Delivered',
    deliveredWords: (size: number, seconds: number) =>
      `The other side has every byte: ${formatBytes(size)} in ${formatDuration(Math.max(1, seconds))}.`,
    unconfirmed: 'Sent, but not confirmed',
    unconfirmedWords:
      'Everything was sent, but the other side did not confirm that it arrived. Ask the person whether the file is complete.',
    failed: 'Not delivered',
    cancelled: 'Cancelled',
    cancelledWords: 'You stopped the transfer. The other side doesn’t have the file.',
    cancelledLate: 'You stopped the transfer when all was sent. It may have arrived all the same.',
    again: 'Send something else',
    retry: 'Send it again',
    offline: 'The server can’t be reached. Check your connection, and try again.',
  },

  /** What is sent, beside how it goes. */
  what: (name: string | undefined, bytes: number) => `${name ?? PAGE_WORDS.text} · ${formatBytes(bytes)}`,

  /** `3 files, 12.0 MB` for the list of what was chosen. */
  sum: (count: number, bytes: number) => `${formatCount(count, 'file')}, ${formatBytes(bytes)}`,
} as const
