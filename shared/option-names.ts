import { EssError } from './problems.js'

/** Finds the known name that a mistyped one was probably meant to be; undefined if none is near. */
export type Nearest = (name: string, known: readonly string[]) => string | undefined

/**
 * Refuses a wrong options object from a caller without types. A misspelt option would be ignored silently, and its
 * default would apply. An undefined option counts as left out, but its name must be known too. Throws EssError
 * `usage`, which names the function and the nearest option.
 */
export function checkOptionNames(
  of: string,
  options: unknown,
  known: Readonly<Record<string, true>>,
  nearest: Nearest,
): void {
  const names = Object.keys(known)
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new EssError(
      'usage',
      `${of}: its options are an object such as { ${names[0]}: … }, not ${kindOf(options)}.`,
    )
  for (const name of Object.keys(options)) {
    // Object.hasOwn: an inherited name such as "constructor" is no option.
    if (Object.hasOwn(known, name)) continue
    const meant = nearest(name, names)
    const hint = meant === undefined ? `The options are ${names.join(', ')}.` : `Did you mean "${meant}"?`
    throw new EssError('usage', `${of}: there is no option "${name}". ${hint}`)
  }
}

/** Describes a value for a message, in a word or two. Short text stands as it is. */
export function kindOf(value: unknown): string {
  if (typeof value === 'string') return value.length <= 40 ? JSON.stringify(value) : 'a long string'
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`
  if (Array.isArray(value)) return 'an array'
  if (typeof value !== 'object' || value === null) return String(value)
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== 'Object' ? `an instance of ${name}` : 'a plain object'
}
