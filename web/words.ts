import { formatBytes, formatCount, formatDuration, formatPart } from '../shared/index.js'

/** Everything that the pages say, in one place, so that it can be translated. */
export const WORDS = {
  title: 'Send a file',

  choose: {
    intro: 'It goes straight to the other side. This server stores nothing.',
    files: 'Choose files',
    folder: 'Choose a folder',
    drop: 'or drop them here',
    text: 'Or type a text',
    chosen: 'To be sent',
    remove: (name: string) => `Remove ${name}`,
    folderMark: 'folder',
    sealed: 'Encrypt it',
    sealedHint: 'Only someone who has the whole link can open it. This server can’t.',
    token: 'Token',
    tokenHint: 'This server asks for a token. It stays in this tab, until you close it.',
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
      `Waiting for the other side. The link waits ${formatDuration(seconds)} more.`,
    keepOpen: 'Keep this page open until it is delivered.',
    terminal: 'In a terminal',
    byEss: 'With ess:',
    byNpx: 'With Node alone:',
    byCurl: 'With curl:',
    byAge: 'With curl and age. Put the key, the end of the link from AGE-SECRET-KEY on, into a file key.txt:',
  },

  progress: {
    sending: 'Sending',
    label: 'Sent',
    course: (bytes: number, total: number) => `${formatBytes(bytes)} of ${formatBytes(total)}`,
    rate: (bytesPerSecond: number) => `${formatBytes(Math.round(bytesPerSecond))}/s`,
    left: (seconds: number) => `${formatDuration(seconds)} left`,
    checking: 'All is sent. Waiting for the other side to confirm it.',
    offline: 'The server can’t be reached. The transfer goes on when the connection is back.',
    receiverAway: 'The other side has lost its connection. The transfer goes on when it comes back.',
    tryingOn: (seconds: number) => `There is ${formatDuration(seconds)} left for that.`,
    cancel: 'Cancel',
    cancelSure: 'Cancel this transfer?',
  },

  ending: {
    delivered: 'Delivered',
    deliveredWords: (size: number, seconds: number) =>
      `The other side has every byte: ${formatBytes(size)} in ${formatDuration(Math.max(1, seconds))}.`,
    unconfirmed: 'Sent, but not confirmed',
    unconfirmedWords:
      'All of it was handed to the other side, which has not confirmed that it arrived. Ask the person whether the file is whole.',
    failed: 'Not delivered',
    cancelled: 'Cancelled',
    cancelledWords: 'You stopped the transfer. The other side doesn’t have the file.',
    again: 'Send something else',
    retry: 'Send it again',
    offline: 'The server can’t be reached. Check your connection, and try again.',
  },

  /** `3 files and folders, 12.0 MB` for the list of what was chosen. */
  sum: (count: number, bytes: number) => `${formatCount(count, 'file')}, ${formatBytes(bytes)}`,
} as const

/** What the page of a link says. */
export const RECEIVING = {
  opening: 'Opening …',
  sealedTitle: 'A sealed file',
  nameless: 'A file without a name',
  text: 'A text',
  sizeUnknown: 'size not known',
  worksOnce: 'This link works once.',
  isSealed: 'It is encrypted from end to end: only the sender and you can read it.',
  notStarted: 'The sender has not started yet. It begins when they do.',
  entries: (count: number) => `${formatCount(count, 'file')} and folders`,

  save: 'Save',
  saveFolder: 'Save as a folder',
  saveZip: 'Save as a zip',
  showText: 'Show the text',
  terminal: 'In a terminal',
  withEss: 'With ess:',
  withNode: 'With Node alone:',
  withCurl: 'With curl:',

  noKey: 'This file is sealed, and the link that you opened has no key.',
  noKeyNext:
    'Copy the whole link again, with all that is behind its #, and open or paste it. If the sender has sealed the file for a key of yours, paste that key, or choose its file.',
  wrongKey: 'This key doesn’t open this file.',
  wrongKeyNext:
    'The link may have been put together from two. Ask the sender for the link again, and copy all of it.',
  cutKey:
    'The key is not whole, or has a typo. Copy the whole link again, to its last character. Nothing is used up yet.',
  lockedKeyFile: 'This key file is locked with a password. Open it with age -d, and take what comes out.',
  publicKey: 'This is a public key. It takes the secret one, which begins with AGE-SECRET-KEY-.',
  noKeyInText: 'There is no key in this. A key begins with AGE-SECRET-KEY-.',
  keyLabel: 'The whole link, or a secret key',
  keyFile: 'Choose a key file',
  open: 'Open',
  passwordNeeded: 'The sender has sealed this file with a password.',
  passwordLabel: 'Password',
  wrongPassword: 'This password doesn’t open it. Try again: nothing is used up.',
  passwordTakes: 'Opening. This takes some seconds …',
  tokenNeeded: 'This server asks for a token.',
  tokenLabel: 'Token',

  waiting: 'Waiting for the sender …',
  receiving: 'Receiving',
  received: 'Received',
  progress: (bytes: number, size: number | undefined) => formatPart(bytes, size),
  rate: (bytesPerSecond: number) => `${formatBytes(Math.round(bytesPerSecond))}/s`,
  left: (seconds: number) => `${formatDuration(seconds)} left`,
  interrupted: (secondsLeft: number) =>
    `The connection was cut. It goes on by itself as soon as it can; there are ${formatDuration(secondsLeft)} left.`,
  resumed: 'It goes on.',
  cancel: 'Cancel',

  done: 'It is whole',
  savedToDisk: (name: string) => `Saved as ${name}. Every byte was checked.`,
  savedToDownloads: 'Every byte was checked. It is among your browser’s downloads.',
  savedFromMemory: 'Every byte was checked. Your browser has put it among its downloads.',
  saveAgain: 'Save it again',
  copy: 'Copy',
  copied: 'Copied',
  notCopied: 'Your browser doesn’t let this page copy. Select the text, and copy it by hand.',

  failed: 'This did not work',
  tryAgain: 'Try again',
  cancelled: 'You have stopped it. Nothing was kept, and the sender was told.',
  brokeOff: (bytes: number, size: number | undefined, why: string) =>
    `It broke off after ${formatPart(bytes, size)}. ${why} Nothing was kept. Ask the sender to send it again.`,
  changed:
    'What came is not what the sender sealed: it was changed on the way, or its end is missing. Nothing was kept. Ask the sender to send it again, by another server if this happens twice.',
  unwritable:
    'Your browser could not write the file: the disk may be full, or the place not yours to write to. Nothing was kept. Ask the sender to send it again.',
  tooLarge: (limit: number) =>
    `Your browser has no way to save a file of more than ${formatBytes(limit)} from this page. Nothing is used up: open the link in Chrome, Edge or Firefox on a computer, or use a terminal.`,
  unreachable: 'The server can’t be reached. Are you online?',
} as const
