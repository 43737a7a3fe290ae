import { formatBytes, formatCount, formatDuration, formatPart } from '../../shared/index.js'
import { PAGE_WORDS } from '../../shared/page-words.js'

/** Everything that the page of a link says, in one place, so that it can be translated. */
export const RECEIVING = {
  opening: 'Opening …',
  sealedTitle: PAGE_WORDS.sealed,
  text: PAGE_WORDS.text,
  sizeUnknown: PAGE_WORDS.sizeUnknown,
  worksOnce: PAGE_WORDS.worksOnce,
  isSealed: 'It is encrypted from end to end: only the sender and you can read it.',
  notStarted: PAGE_WORDS.notStarted,
  entries: (count: number) =>
    count === 1 ? 'one file or folder' : `${formatCount(count, 'file')} and folders`,

  entriesSoFar: 'Received so far',

  save: 'Save',
  saveFolder: 'Save as a folder',
  saveZip: 'Save as a zip',
  showText: 'Show the text',
  terminal: PAGE_WORDS.terminal,
  withEss: 'With ess:',
  withNode: 'With Node alone:',
  withCurl: 'With curl:',

  noKey: 'This file is encrypted, and your link has no key for it.',
  noKeyNext:
    'Copy the whole link again, with everything after the #, and paste it here. If the sender encrypted the file for a key of yours, paste that key or choose its file.',
  wrongKey: 'This key doesn’t open this file.',
  wrongKeyNext: 'Ask the sender for the link again, and copy all of it. Nothing is used up yet.',
  cutKey:
    'The key is cut off, or has a typo. Copy the whole link again, to its last character. Nothing is used up yet.',
  lockedKeyFile: 'This key file is locked with a password. Unlock it with age -d first.',
  publicKey: 'This is a public key. You need the secret one, which begins with AGE-SECRET-KEY-.',
  noKeyInText: 'There is no key in it. A key begins with AGE-SECRET-KEY-.',
  keyLabel: 'The whole link, or a secret key',
  keyFile: 'Choose a key file',
  open: 'Open',
  passwordNeeded: 'The sender encrypted this file with a password.',
  passwordLabel: 'Password',
  wrongPassword: 'This password is wrong. Try again: nothing is used up.',
  passwordTakes: 'Opening. This takes a few seconds …',

  waiting: 'Waiting for the sender …',
  receiving: 'Receiving',
  received: 'Received',
  progress: (bytes: number, size: number | undefined) => formatPart(bytes, size),
  rate: (bytesPerSecond: number) => `${formatBytes(Math.round(bytesPerSecond))}/s`,
  left: (seconds: number) => `${formatDuration(seconds)} left`,
  interrupted: 'The connection was cut. The download goes on when it is back.',
  tryingOn: (secondsLeft: number) => `this page keeps trying for another ${formatDuration(secondsLeft)}`,
  cancel: 'Cancel',

  done: 'Received',
  savedToDisk: (name: string) => `Saved as ${name}. Every byte was checked.`,
  savedToDownloads: 'It is among your browser’s downloads. Every byte was checked.',
  savedFromMemory: 'Your browser has put it among its downloads. Every byte was checked.',
  savedToFolder: (name: string) => `Saved in the folder ${name}. Every byte was checked.`,
  leftOut: (count: number) =>
    `${formatCount(count, 'link')} to other files could not be made, because a browser can’t. To get all, receive it with ess.`,
  leftOutList: 'The links that were left out',
  saveAgain: 'Save it again',
  /** A file in a folder that is being filled. */
  markerName: 'NOT COMPLETE YET.txt',
  markerWords:
    'This folder is still being received. If no browser is receiving it any more, it is not whole: delete it, and ask the sender to send it again.\n',
  copy: 'Copy',
  copied: 'Copied',
  notCopied: 'Your browser doesn’t let this page copy. Select the text, and copy it by hand.',

  failed: 'Not received',
  stopped: 'Cancelled',
  tryAgain: 'Try again',
  cancelled: 'You have stopped it. Nothing was kept, and the sender was told.',
  brokeOff: (bytes: number, size: number | undefined, why: string) =>
    `It broke off after ${formatPart(bytes, size)}. ${why} Nothing was kept. Ask the sender to send it again.`,
  changed:
    'What came is not what the sender sealed: it was changed on the way, or its end is missing. Nothing was kept. Ask the sender to send it again, by another server if this happens twice.',
  unwritable:
    'Your browser could not write the file. The disk may be full, or the folder may be read-only. Nothing was kept. Ask the sender to send it again.',
  tooLarge: (limit: number) =>
    `This browser can’t save more than ${formatBytes(limit)} from this page. Nothing is used up: open the link in Chrome, Edge or Firefox on a computer, or use a terminal.`,
  unreachable: 'The server can’t be reached. Check your connection, and try again.',
} as const
