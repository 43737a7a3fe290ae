import { COMMAND_NAMES, type CommandName, type Operand, rowOf, SHELLS } from '../commands.js'
import { FLAGS, type FlagNames } from '../options.js'
import { OWN_FLAGS } from '../parser.js'

/** A flag, as far as completing it goes. */
export interface CompletedFlag extends FlagNames {
  readonly words: string
  /** True if it may be given several times. */
  readonly isMany?: boolean
}

/** Every name of every command, aliases too, with the row's own name. */
export function commandWords(): readonly { readonly word: string; readonly name: CommandName }[] {
  return COMMAND_NAMES.flatMap((name) => [name, ...rowOf(name).aliases].map((word) => ({ word, name })))
}

export function flagsOf(name: CommandName): readonly CompletedFlag[] {
  return [...FLAGS.filter(({ of }) => of.some((one) => one === name)), ...OWN_FLAGS]
}

/** The words that an operand can be; undefined if it is a file or a link. */
export function choicesOf({ of }: Operand): readonly string[] | undefined {
  if (of === 'command') return commandWords().map(({ word }) => word)
  return of === 'shell' ? SHELLS : undefined
}

/** True for a value that names a file or a folder. */
export function isPath(value: string | undefined): boolean {
  return value === 'FILE'
}

/** `-o --output` */
export function spellings({ flag, short }: FlagNames): readonly string[] {
  return short === undefined ? [`--${flag}`] : [`-${short}`, `--${flag}`]
}

/** The spellings of all flags that take a value; or of those whose value is a path, or isn't. */
export function valueFlags(isOfPath?: boolean): readonly string[] {
  return FLAGS.filter(
    ({ value }) => value !== undefined && (isOfPath ?? isPath(value)) === isPath(value),
  ).flatMap(spellings)
}
