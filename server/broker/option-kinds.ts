import { RELAY_MODES } from '../relay/relay.js'

/** The words that an option takes, for each kind that is a choice among words. */
export const CHOICES = {
  relay: RELAY_MODES,
  'log format': ['text', 'json', 'off'],
  'TLS version': ['1.2', '1.3'],
} as const

export type ChoiceKind = keyof typeof CHOICES

/** What a flag of each kind gives. */
export type FlagValues = {
  readonly text: string
  /** An http or https URL. */
  readonly url: string
  /** `--flag` means true; `--no-flag` and `--flag=false` mean false. */
  readonly switch: boolean
  /** May have a fraction. */
  readonly seconds: number
  readonly whole: number
  /** Bytes; a person may type a unit. */
  readonly size: number
  /** A whole number, or one process a core. */
  readonly workers: number | 'auto'
  /** A person types commas between the items. */
  readonly list: readonly string[]
} & { readonly [K in ChoiceKind]: (typeof CHOICES)[K][number] }

/** Kinds whose values only a program can give. */
type CodeKind = 'function' | 'ids'

export type Kind = keyof FlagValues | CodeKind

/** What a value must be, beyond its kind. */
export interface Bounds {
  /** 0 unless it is said. For seconds: above 0 unless this is 0. */
  readonly least?: number
  readonly most?: number
  /** What a whole number counts. */
  readonly unit?: string
}

interface Shared extends Bounds {
  /** What happens without a default, in a few words. */
  readonly otherwise?: string
}

/** An option that only a program sets, by `createService`. */
interface LibraryRow extends Shared {
  readonly by: 'library'
  readonly kind: Kind
  readonly default: number | undefined
}

/** The purposes by which `--help` groups the flags, in its order. */
export const GROUPS = [
  'Listening',
  'Who may use it',
  'Limits',
  'Transfers',
  'Behind a proxy',
  'TLS',
  'Several nodes',
  'Operating',
] as const

/** A flag of `ess-server`; with `both`, it is also an option of `createService`. */
interface CommandRow extends Shared {
  readonly group: (typeof GROUPS)[number]
  /** The name of the flag's value in `--help`, where its kind doesn't say enough. */
  readonly value?: string
  readonly by: 'command' | 'both'
  /** The flag's name, where it is not the option's name in kebab case. */
  readonly flag?: string
  readonly words: string
  /** False for a flag that a configuration file can't set. */
  readonly isInFile?: false
}

/** A default is a value of its kind; undefined or null where an option has none. */
type KindAndDefault = {
  readonly [K in keyof FlagValues]: {
    readonly kind: K
    readonly default: FlagValues[K] | null | undefined
    /** The default of `ess-server`, where it isn't that of the library. */
    readonly commandDefault?: FlagValues[K]
  }
}[keyof FlagValues]

export type FlagRow = CommandRow & KindAndDefault

export type OptionRow = LibraryRow | FlagRow
