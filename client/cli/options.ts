import { HOME_SERVER } from './home-server.js'

/** The commands that have options of their own. */
export type OptionCommand = 'send' | 'get' | 'doctor'

/** What options are for. `--help`, the man page and docs list them under these headings, in this order. */
export const GROUPS = {
  file: 'File',
  folders: 'Folders',
  encryption: 'Encryption',
  waiting: 'Waiting',
  server: 'Server',
  output: 'Output',
} as const

/**
 * One option of `ess`. Its flag, its line in `--help`, in the man page and in docs, its completion, and its key in
 * config.json follow from it.
 */
export interface OptionRow {
  readonly of: readonly OptionCommand[]
  readonly group: keyof typeof GROUPS
  /**
   * A switch takes no value. `on or off` is one that `--no-…` turns off again. Give `texts` as often as you like. A secret
   * has no flag, because every user of a machine can read its command lines.
   */
  readonly kind: 'text' | 'texts' | 'duration' | 'duration or 0' | 'switch' | 'on or off' | 'secret'
  /** What stands for the value in `--help`. Its completion follows from it: `FILE`, `DIR`. A switch has none. */
  readonly value?: string
  /** The letter of its short flag. */
  readonly short?: string
  /** Sentences without the last full stop. */
  readonly words: string
  /** The same of the flag that turns it off. */
  readonly offWords?: string
  /** What `--help` gives as its default; absent if there is nothing to say. */
  readonly fallback?: string
  /** The environment variable that sets it. The flag overrides the variable. */
  readonly variable?: string
  /** True if config.json may set it, under the name that it has here. The variable overrides config.json. */
  readonly isConfigurable?: true
}

const EVERY_COMMAND = ['send', 'get', 'doctor'] as const

/** Every option of `ess`, in the order of `--help`. */
export const OPTIONS = {
  name: {
    of: ['send'],
    group: 'file',
    kind: 'text',
    value: 'NAME',
    words: 'Name of the file or folder for the receiver. Several keep theirs, and it names their tar',
    fallback: 'its own name',
  },
  output: {
    of: ['get'],
    group: 'file',
    kind: 'text',
    value: 'FILE',
    short: 'o',
    words: 'Save as FILE. A folder keeps the name that the sender gave; - is standard output',
    fallback: "the sender's name, or - when piped",
  },
  text: {
    of: ['send'],
    group: 'file',
    kind: 'switch',
    words: 'Send a text in place of a file: the words that follow, or what you type or pipe in',
  },
  force: { of: ['get'], group: 'file', kind: 'switch', short: 'f', words: 'Overwrite an existing file' },
  fresh: {
    of: ['get'],
    group: 'file',
    kind: 'switch',
    words: 'Begin anew, even if an earlier try has left a part of the file',
  },
  exclude: {
    of: ['send'],
    group: 'folders',
    kind: 'texts',
    value: 'GLOB',
    words: "Leave out what matches GLOB, a line as in .gitignore: '*.log' or build/. Give it again for more",
  },
  gitignore: {
    of: ['send'],
    group: 'folders',
    kind: 'switch',
    words: 'Leave out what git ignores, and .git itself',
  },
  dereference: {
    of: ['send'],
    group: 'folders',
    kind: 'switch',
    short: 'L',
    words: 'Send what symbolic links lead to, in place of the links',
  },
  noUnpack: {
    of: ['get'],
    group: 'folders',
    kind: 'switch',
    words: 'Keep a folder or several files as the tar that they come in',
  },
  encrypt: {
    of: ['send'],
    group: 'encryption',
    kind: 'on or off',
    short: 'e',
    words: 'Encrypt from end to end. The key is in the link, and the server never gets it',
    offWords: "Don't encrypt, whatever ESS_ENCRYPT or config.json says",
    variable: 'ESS_ENCRYPT',
    isConfigurable: true,
  },
  to: {
    of: ['send'],
    group: 'encryption',
    kind: 'texts',
    value: 'RECIPIENT',
    words: 'Encrypt for the owner of RECIPIENT, a public key that begins with age1. Give it again for more',
  },
  toFile: {
    of: ['send'],
    group: 'encryption',
    kind: 'texts',
    value: 'FILE',
    words: 'Encrypt for the owners of the public keys in FILE, one to a line. Give it again for more',
  },
  identity: {
    of: ['get'],
    group: 'encryption',
    kind: 'texts',
    value: 'FILE',
    short: 'i',
    words: 'Open it with the secret keys in FILE, as age-keygen makes it. Give it again for more',
  },
  password: {
    of: ['send', 'get'],
    group: 'encryption',
    kind: 'switch',
    words:
      'Lock or open it with a password, which is asked for, or read from the file that the variable names',
    variable: 'ESS_PASSWORD_FILE',
  },
  ttl: {
    of: ['send'],
    group: 'waiting',
    kind: 'duration',
    value: 'TIME',
    words: 'How long the link waits for a receiver: 90 (seconds), 90s, 10m, 1h30m',
    fallback: "the server's limit",
  },
  wait: {
    of: ['get'],
    group: 'waiting',
    kind: 'duration or 0',
    value: 'TIME',
    words: "How long to wait for a sender that hasn't started: 90 (seconds), 90s, 10m, 1h30m",
    fallback: '0',
  },
  long: {
    of: ['doctor'],
    group: 'waiting',
    kind: 'switch',
    words: 'Also wait five minutes to see what cuts idle connections',
  },
  server: {
    of: EVERY_COMMAND,
    group: 'server',
    kind: 'text',
    value: 'URL',
    words: 'The server to use',
    fallback: HOME_SERVER,
    variable: 'ESS_SERVER',
    isConfigurable: true,
  },
  token: {
    of: EVERY_COMMAND,
    group: 'server',
    kind: 'secret',
    words: 'Your token for the server',
    variable: 'ESS_TOKEN',
    isConfigurable: true,
  },
  tokenFile: {
    of: EVERY_COMMAND,
    group: 'server',
    kind: 'text',
    value: 'FILE',
    words: 'Read your token for the server from FILE. Or put the token itself into ESS_TOKEN',
    variable: 'ESS_TOKEN_FILE',
    isConfigurable: true,
  },
  reserve: {
    of: ['send'],
    group: 'server',
    kind: 'switch',
    words: 'Get the link first, then upload. For a server behind a proxy that needs it, such as nginx',
  },
  qr: {
    of: ['send'],
    group: 'output',
    kind: 'switch',
    words: 'Also show the link as a QR code, for a phone',
  },
  quiet: { of: EVERY_COMMAND, group: 'output', kind: 'switch', short: 'q', words: 'Print errors only' },
  noProgress: {
    of: EVERY_COMMAND,
    group: 'output',
    kind: 'switch',
    words: 'Show no spinner, no progress bar and no hints',
  },
  json: {
    of: ['send', 'doctor'],
    group: 'output',
    kind: 'switch',
    words: 'Print JSON, one object on each line, instead of the link or the report',
  },
} as const satisfies Readonly<Record<string, OptionRow>>

type Options = typeof OPTIONS
export type OptionName = keyof Options

/** The names of the options whose rows have these members. */
export type OptionsWith<Members> = {
  [Name in OptionName]: Options[Name] extends Members ? Name : never
}[OptionName]

/** The names of a command's options that have a flag. */
type FlagOf<Command extends OptionCommand> = {
  [Name in OptionName]: Command extends Options[Name]['of'][number] ? Name : never
}[Exclude<OptionName, OptionsWith<{ kind: 'secret' }>>]

/** The values of a command's options, once they are read. */
export type ValuesOf<Command extends OptionCommand> = {
  readonly [Name in FlagOf<Command>]: ValueOf<Options[Name]['kind']>
}
type ValueOf<Kind> = Kind extends keyof Values ? Values[Kind] : number | undefined
interface Values {
  readonly text: string | undefined
  readonly texts: readonly string[]
  readonly switch: boolean
  readonly 'on or off': boolean | undefined
}

/** An option's flag without its dashes: `token-file` for `tokenFile`. */
export function flagOf(name: OptionName): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** A flag of an option. */
export interface Flag
  extends Pick<OptionRow, 'of' | 'group' | 'value' | 'short' | 'words' | 'fallback' | 'variable'> {
  readonly name: OptionName
  /** Without dashes. */
  readonly flag: string
  /** True if it may be given several times. */
  readonly isMany: boolean
  /** True for the one that turns its option off. */
  readonly isOff: boolean
}

/** Every flag, in the order of the table. The flag that turns an option off follows the one that turns it on. */
export const FLAGS: readonly Flag[] = Object.entries<OptionRow>(OPTIONS).flatMap(([key, row]) => {
  const name = key as OptionName // Object.entries types the names as plain text.
  if (row.kind === 'secret') return []
  const on = { ...row, name, flag: flagOf(name), isMany: row.kind === 'texts', isOff: false }
  if (row.offWords === undefined) return [on]
  const { of, group, offWords } = row
  return [on, { of, group, name, words: offWords, flag: `no-${on.flag}`, isMany: false, isOff: true }]
})

export interface FlagNames {
  readonly flag: string
  readonly short?: string | undefined
  readonly value?: string | undefined
}

/** `-o, --output FILE` */
export function flagLabel({ flag, short, value }: FlagNames): string {
  return [short === undefined ? '' : `-${short}, `, `--${flag}`, value === undefined ? '' : ` ${value}`].join(
    '',
  )
}
