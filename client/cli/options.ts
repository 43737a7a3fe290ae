import { DEFAULT_SERVER } from '../http/default-server.js'

/** The commands that transfer a file. */
export type TransferName = 'send' | 'get'

/**
 * One option of `ess`. Its flag, its line in `--help`, its key in config.json and its row in the README follow from
 * it.
 */
export interface OptionRow {
  readonly of: TransferName | 'both'
  /** A switch takes no value. A secret has no flag, because every user of a machine can read its command lines. */
  readonly kind: 'text' | 'seconds' | 'seconds or 0' | 'switch' | 'secret'
  /** The letter of its short flag. */
  readonly short?: string
  readonly words: string
  /** What `--help` gives as its default; absent if there is nothing to say. */
  readonly fallback?: string
  /** The environment variable that sets it. The flag overrides the variable. */
  readonly variable?: string
  /** True if config.json may set it, under the name that it has here. The variable overrides config.json. */
  readonly isConfigurable?: true
}

/** Every option of `ess`, in the order of `--help`. */
export const OPTIONS = {
  name: { of: 'send', kind: 'text', words: 'File name for the receiver', fallback: 'its own' },
  ttl: {
    of: 'send',
    kind: 'seconds',
    words: 'Seconds to wait for a receiver',
    fallback: "the server's limit",
  },
  reserve: {
    of: 'send',
    kind: 'switch',
    words: 'Reserve first and upload separately, for a proxy that needs it',
  },
  json: { of: 'send', kind: 'switch', words: 'Print the events as NDJSON instead of the URL' },
  output: {
    of: 'get',
    kind: 'text',
    short: 'o',
    words: 'File to write, - for standard output',
    fallback: "the sender's name; - off a terminal",
  },
  force: { of: 'get', kind: 'switch', short: 'f', words: 'Overwrite a file that exists' },
  wait: {
    of: 'get',
    kind: 'seconds or 0',
    words: 'Seconds to wait for a sender that is not there yet',
    fallback: '0',
  },
  server: {
    of: 'both',
    kind: 'text',
    words: "The server's URL",
    fallback: DEFAULT_SERVER,
    variable: 'ESS_SERVER',
    isConfigurable: true,
  },
  token: {
    of: 'both',
    kind: 'secret',
    words: 'The token that the server wants',
    variable: 'ESS_TOKEN',
    isConfigurable: true,
  },
  tokenFile: {
    of: 'both',
    kind: 'text',
    words: 'File with the token that the server wants; ESS_TOKEN is the token itself',
    variable: 'ESS_TOKEN_FILE',
    isConfigurable: true,
  },
  quiet: { of: 'both', kind: 'switch', short: 'q', words: 'Say nothing but what went wrong' },
  noProgress: { of: 'both', kind: 'switch', words: 'No spinner, no bar, no hints' },
} as const satisfies Readonly<Record<string, OptionRow>>

type Options = typeof OPTIONS
export type OptionName = keyof Options

/** The names of the options whose rows have these members. */
export type OptionsWith<Members> = {
  [Name in OptionName]: Options[Name] extends Members ? Name : never
}[OptionName]

/** The values of a command's options, once they are read. */
export type ValuesOf<Of extends OptionRow['of']> = {
  readonly [Name in Exclude<OptionsWith<{ of: Of }>, OptionsWith<{ kind: 'secret' }>>]: ValueOf<
    Options[Name]['kind']
  >
}
type ValueOf<Kind> = Kind extends 'switch' ? boolean : (Kind extends 'text' ? string : number) | undefined

/** An option's flag without its dashes: `token-file` for `tokenFile`. */
export function flagOf(name: OptionName): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The options of one command, or of both, by flag. Secrets have none. */
export function flagsOf(of: OptionRow['of']): Readonly<Record<string, OptionRow>> {
  const all = Object.entries<OptionRow>(OPTIONS)
  const own = all.filter(([, row]) => row.of === of && row.kind !== 'secret')
  // Object.entries types the names as plain text.
  return Object.fromEntries(own.map(([name, row]) => [flagOf(name as OptionName), row]))
}
