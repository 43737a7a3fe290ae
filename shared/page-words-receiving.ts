import { isolated } from './isolated.js'
import { formatBytes, formatCount, formatPart } from './units.js'

/** What the page of a link says, once its script has taken it over: see `page-words.ts`. */
export const RECEIVING = {
  opening: 'Opening …',
  isSealed: 'It is encrypted from end to end: only the sender and you can read it.',
  mayBeSealed:
    'Your link has a key, but the server doesn’t say that this file is encrypted. If it comes as anything but encrypted for this key, nothing is kept.',
  /** Files, folders and links in a folder that is to come. */
  entries: (count: number) => formatCount(count, 'item'),
  save: 'Save',
  saveFolder: 'Save as a folder',
  saveZip: 'Save as a zip',
  showText: 'Show the text',

  noKey: 'Your link has no key for it.',
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

  byBrowser:
    'Your browser has asked for the file, and shows it among its downloads. The link works once: if the download fails, ask the sender for a new one.',

  waiting: 'Waiting for the sender …',
  receiving: 'Receiving',
  /** What the bar shows. */
  progress: 'Received',
  entriesSoFar: 'Received so far',
  interrupted: 'The connection was cut. The download goes on when it is back.',

  done: 'Received',
  savedToDisk: (name: string) => `Saved as ${isolated(name)}. Every byte was checked.`,
  savedToDownloads:
    'Every byte was checked, and your browser is saving it among its downloads. Look there before you close this page: if the disk was full, you can save it again from here.',
  savedToFolder: (name: string) => `Saved in the folder ${isolated(name)}. Every byte was checked.`,
  fewer: (came: number, announced: number) =>
    `The sender announced ${formatCount(announced, 'item')}, and ${came} came. Ask the sender whether something is missing.`,
  leftOut: (count: number) =>
    `${formatCount(count, 'link')} could not be made: a browser makes no links from one file to another. To get all, ask the sender for a new link, and receive it with ess.`,
  leftOutList: 'The links that were left out',
  renamed: (count: number) =>
    `${formatCount(count, 'name')} had to be changed: your browser or some systems don’t allow ${count === 1 ? 'it' : 'them'}, or another file has the same one.`,
  renamedList: 'The names that were changed',
  /** An old name, and the new one. */
  becomes: (from: string, to: string) => `${isolated(from)} → ${isolated(to)}`,
  saveAgain: 'Save it again',
  /** A file in a folder that is being filled. */
  markerName: 'NOT COMPLETE YET.txt',
  markerText:
    'This folder is still being received. If no browser is receiving it any more, it is not whole: delete it, and ask the sender to send it again.\n',
  onlyHere: 'It is on this page alone. Copy it before you close the page.',
  copy: 'Copy',
  notCopied: 'Your browser doesn’t let this page copy. Select the text, and copy it by hand.',

  forgotten:
    'The server knows nothing of this transfer any more: it was restarted, or the sender was away for too long.',

  failed: 'Not received',
  tryAgain: 'Try again',
  stopped: 'You stopped it. Nothing was kept, and the sender was told.',
  brokeOff: (bytes: number, size: number | undefined, why: string) =>
    `It broke off after ${formatPart(bytes, size)}. ${why} Nothing was kept. Ask the sender to send it again.`,
  changed:
    'What came is not what the sender encrypted: it was changed on the way, or its end is missing. Nothing was kept. Ask the sender to send it again, by another server if this happens twice.',
  unwritable:
    'Your browser could not write the file. The disk may be full, or the folder may be read-only. Nothing was kept. Ask the sender to send it again.',
  tooLarge: (limit: number) =>
    `This browser can’t save more than ${formatBytes(limit)} from this page. Nothing is used up: open the link in Chrome, Edge or Firefox on a computer, or use a terminal.`,
  /** Of a browser that would take it with a picker, or with a larger disk. */
  tooLargeHere: (limit: number) =>
    `This browser lets this page keep no more than ${formatBytes(limit)}. Nothing is used up: open the link in Chrome or Edge on a computer, or use a terminal.`,
  diskWaits: 'Your disk is not taking the file at the moment. The download goes on when it does.',
  tooLargeByHttp: (limit: number) =>
    `This page came over plain HTTP, by which a browser can’t save more than ${formatBytes(limit)} from it. Nothing is used up: use a terminal, or ask the sender for a link that begins with https://.`,
  tooLargeMidway: (limit: number) =>
    `This browser can’t save more than ${formatBytes(limit)} from this page. Nothing was kept. Ask the sender for a new link, and receive it with ess, or in Chrome or Edge on a computer.`,
  back: 'Back',
} as const
