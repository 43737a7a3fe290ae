import { EssError } from '../../shared/index.js'
import { type Bounds, CHOICES, type ChoiceKind, type Kind } from './option-kinds.js'

/** The longest timer Node keeps: 2^31 - 1 ms, 24 days. */
const MAX_SECONDS = (2 ** 31 - 1) / 1000

type Check = (name: string, value: unknown, bounds: Bounds) => void

const CHECKS: Readonly<Record<Kind, Check>> = {
  text: (name, value) => {
    if (typeof value !== 'string') throw unexpected(name, 'text', value)
  },
  url: checkUrl,
  // A program without types may give "false", which is neither.
  switch: (name, value) => {
    if (typeof value !== 'boolean') throw unexpected(name, 'true or false', value)
  },
  seconds: (name, value, { least }) => void seconds(name, value, least === 0 ? 'zero too' : 'positive'),
  whole: (name, value, { least = 0, most, unit = '' }) => {
    wholeNumber(name, value, least, unit)
    if (most !== undefined && Number(value) > most) throw unexpected(name, `at most ${most}`, value)
  },
  workers: (name, value, bounds) => {
    if (value !== 'auto') CHECKS.whole(name, value, bounds)
  },
  size: (name, value) => void wholeNumber(name, value, 0, 'bytes'),
  list: (name, value) => {
    if (!Array.isArray(value)) throw unexpected(name, 'a list', value)
  },
  function: (name, value) => {
    if (typeof value !== 'function') throw unexpected(name, 'a function', value)
  },
  ids: checkIds,
  relay: isOneOf('relay'),
  'log format': isOneOf('log format'),
  'TLS version': isOneOf('TLS version'),
}

/** Throws EssError `usage` if `value` is of another kind or out of bounds. */
export function checkOption(name: string, kind: Kind, value: unknown, bounds: Bounds): void {
  CHECKS[kind](name, value, bounds)
}

/** The number, if a timer can keep that many seconds. Throws EssError `usage` otherwise. */
export function seconds(name: string, value: unknown, range: 'positive' | 'zero too'): number {
  const isNumber = typeof value === 'number' && !Number.isNaN(value)
  if (!isNumber || (range === 'positive' ? value <= 0 : value < 0)) {
    const kind = range === 'positive' ? 'a positive number' : 'zero or a positive number'
    throw unexpected(name, `${kind} of seconds`, value)
  }
  if (value > MAX_SECONDS) throw unexpected(name, `at most ${Math.floor(MAX_SECONDS)} seconds`, value)
  return value
}

/** The number, if it is whole and at least `least`. Throws EssError `usage` otherwise. */
export function wholeNumber(name: string, value: unknown, least: number, unit: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value
  throw unexpected(name, `a whole number of ${unit}, at least ${least}`, value)
}

/** For an option that has to be something else; `expected` follows "must be". */
export function unexpected(name: string, expected: string, got: unknown): EssError {
  const shown = typeof got === 'string' ? JSON.stringify(got) : String(got)
  return new EssError('usage', `"${name}" must be ${expected}, not ${shown}.`)
}

function isOneOf(kind: ChoiceKind): Check {
  const choices: readonly unknown[] = CHOICES[kind]
  return (name, value) => {
    if (!choices.includes(value)) throw unexpected(name, `one of ${choices.join(', ')}`, value)
  }
}

function checkUrl(name: string, value: unknown): void {
  // A program without types may give a URL; `new URL` takes one too.
  const text = value instanceof URL ? value.href : value
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === ''
  if (isPlain && url.username === '' && url.password === '') return
  throw unexpected(name, 'an http or https URL without credentials, query or fragment', value)
}

function checkIds(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw unexpected(name, 'a pattern and a generator', value)
  const pattern = 'pattern' in value ? value.pattern : undefined
  const generate = 'generate' in value ? value.generate : undefined
  if (!(pattern instanceof RegExp)) throw unexpected(`${name}.pattern`, 'a regular expression', pattern)
  if (typeof generate !== 'function') throw unexpected(`${name}.generate`, 'a function', generate)
}
