import { CHOICES, type Kind, type OptionRow } from './option-kinds.js'
import { OPTIONS, type Options } from './option-table.js'

type OptionName = keyof Options

/** The names of the options that these may set. */
export type NameOf<By extends OptionRow['by']> = OptionName &
  { [Name in OptionName]: Options[Name]['by'] extends By ? Name : never }[OptionName]

/** The names of the options that these may set, in the order of the table. */
export function namesOf<By extends OptionRow['by']>(...by: readonly By[]): readonly NameOf<By>[] {
  return keysOf(OPTIONS).filter((name) => isSetBy(name, by))
}

/** `maxSockets` is `--max-sockets`, unless its row names another flag; without the dashes. */
export function flagOf(name: NameOf<'command' | 'both'>): string {
  const row: OptionRow = OPTIONS[name]
  return ('flag' in row ? row.flag : undefined) ?? kebab(name)
}

/** `--max-sockets` is `ESS_MAX_SOCKETS` in the environment. */
export function variableOf(flag: string): string {
  return `ESS_${flag.toUpperCase().replaceAll('-', '_')}`
}

/** The words that an option of this kind takes; undefined if it is no choice among words. */
export function choicesOf(kind: Kind): readonly string[] | undefined {
  const choices: Partial<Readonly<Record<Kind, readonly string[]>>> = CHOICES
  return choices[kind]
}

/** True if an object that is made name by name is complete. */
export function hasAll<Values extends object>(
  values: Partial<Values>,
  names: readonly (keyof Values)[],
): values is Values {
  return names.every((name) => Object.hasOwn(values, name))
}

/** `maxSockets` in kebab case: `max-sockets`. */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function isSetBy<By extends OptionRow['by']>(name: OptionName, by: readonly By[]): name is NameOf<By> {
  return by.some((one) => one === OPTIONS[name].by)
}

/** For a type parameter, unlike for a type, the compiler knows what `for … in` goes through. */
function keysOf<Table extends object>(table: Table): Extract<keyof Table, string>[] {
  const keys: Extract<keyof Table, string>[] = []
  for (const key in table) keys.push(key)
  return keys
}
