import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { EssError, parseByteSize, parseDuration } from '../../shared/index.js'
import { nearestName } from '../broker/nearest-name.js'
import { CHOICES, type ChoiceKind, type FlagValues } from '../broker/option-kinds.js'
import { readTrouble } from '../node/errno-words.js'

/** The kind of each option that the file can set, by the name of its flag. */
export type ConfigKeys = Readonly<Record<string, keyof FlagValues>>

/** How the file writes an option of some kind. */
interface Form {
  /** For a message: what is expected. */
  readonly words: string
  /** What the flag would be given on a command line, which is checked there; undefined if the type is wrong. */
  readonly toFlag: (value: unknown) => string | boolean | undefined
}

const TEXT: Form = { words: 'text', toFlag: textOf }

const FORMS: Readonly<Record<keyof FlagValues, Form>> = {
  text: TEXT,
  url: TEXT,
  switch: {
    words: 'true or false',
    toFlag: (value) => (typeof value === 'boolean' ? value : undefined),
  },
  seconds: {
    words: 'a duration such as 90, 90s, 10m or 1h30m',
    toFlag: (value) => (isNumber(value) ? String(value) : textThatReads(value, parseDuration)),
  },
  whole: {
    words: 'a whole number',
    toFlag: wholeNumberOf,
  },
  workers: {
    words: 'a whole number or auto',
    toFlag: (value) => (value === 'auto' ? value : wholeNumberOf(value)),
  },
  size: {
    words: 'a number of bytes, or text such as 10GiB',
    toFlag: (value) => wholeNumberOf(value) ?? textThatReads(value, parseByteSize),
  },
  list: {
    words: 'a list of texts, or one text with commas',
    toFlag: (value) => itemsOf(value)?.join(',') ?? textOf(value),
  },
  relay: choiceOf('relay'),
  'log format': choiceOf('log format'),
  'TLS version': choiceOf('TLS version'),
}

/** One setting as it stands in the file. */
interface Entry {
  readonly key: string
  readonly value: unknown
  /** From 1; undefined for JSON. */
  readonly line?: number | undefined
}

/**
 * Reads a configuration file, JSON or YAML, into the values that the same flags would have on a command line.
 * Throws EssError `usage` with the file, the line (of YAML), and what to write instead.
 */
export async function readConfigFile(
  path: string,
  keys: ConfigKeys,
): Promise<Record<string, string | boolean>> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new EssError(
      'usage',
      `Cannot read the configuration in ${path}: ${readTrouble(error)}. Check the path of --config.`,
    )
  })
  const entries = isJson(path, text) ? jsonEntries(path, text) : yamlEntries(path, text)
  return Object.fromEntries(
    entries.map((entry) => {
      const { key, value } = entry
      // A key may be an inherited name, such as "constructor".
      const kind = Object.hasOwn(keys, key) ? keys[key] : undefined
      if (kind === undefined) throw wrong(path, entry, unknownKey(key, Object.keys(keys)))
      const { words, toFlag } = FORMS[kind]
      const flag = toFlag(value)
      if (flag !== undefined) return [key, flag]
      throw wrong(path, entry, `${key} must be ${words}, not ${JSON.stringify(value)}.`)
    }),
  )
}

function isJson(path: string, text: string): boolean {
  const extension = extname(path).toLowerCase()
  if (extension === '.json') return true
  return !/^\.ya?ml$/.test(extension) && /^\s*\{/.test(text)
}

function jsonEntries(path: string, text: string): Entry[] {
  const parsed = parseJson(path, text)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw noSettings(path)
  return Object.entries(parsed).map(([key, value]: [string, unknown]) => ({ key, value }))
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // JSON.parse throws no other error.
    throw new EssError('usage', `${path}: this is not valid JSON: ${(error as SyntaxError).message}.`)
  }
}

function yamlEntries(path: string, text: string): Entry[] {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) {
    const { line } = lines.linePos(problem.pos[0])
    throw wrong(path, { line }, `this is not valid YAML: ${problem.message}.`)
  }
  // The file is empty, or has only comments.
  if (document.contents === null) return []
  if (!isMap(document.contents)) throw noSettings(path)
  return document.contents.items.map(({ key, value }) => {
    if (!isScalar(key)) throw noSettings(path)
    const { line } = lines.linePos(key.range[0])
    try {
      return { key: String(key.value), value: value?.toJS(document) ?? null, line }
    } catch (error) {
      // An alias that names no anchor, or that would expand too far.
      throw wrong(path, { line }, `this is not valid YAML: ${(error as Error).message}.`)
    }
  })
}

function noSettings(path: string): EssError {
  return new EssError('usage', `${path} must hold options and their values, such as "port: 9000".`)
}

function wrong(path: string, { line }: Pick<Entry, 'line'>, message: string): EssError {
  return new EssError('usage', `${path}${line === undefined ? '' : `, line ${line}`}: ${message}`)
}

function unknownKey(key: string, known: readonly string[]): string {
  // max_sockets and maxSockets mean the flag.
  const plain = key
    .replace(/_|\B(?=[A-Z])/g, '-')
    .toLowerCase()
    .replace(/^no-/, '')
  const nearest = nearestName(plain, known)
  const next = nearest ? `Did you mean ${nearest}?` : 'See ess-server --help.'
  return `there is no option ${JSON.stringify(key)}. ${next}`
}

function choiceOf(kind: ChoiceKind): Form {
  const choices: readonly string[] = CHOICES[kind]
  return {
    words: `one of ${choices.join(', ')}`,
    toFlag: (value) => choices.find((choice) => choice === value),
  }
}

function wholeNumberOf(value: unknown): string | undefined {
  return isNumber(value) && Number.isSafeInteger(value) ? String(value) : undefined
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

/** Undefined for an empty list, and for items that are no text or have a comma. */
function itemsOf(value: unknown): readonly unknown[] | undefined {
  const isItem = (item: unknown) => typeof item === 'string' && item !== '' && !item.includes(',')
  return Array.isArray(value) && value.length > 0 && value.every(isItem) ? value : undefined
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function textThatReads(value: unknown, read: (text: string) => number | undefined): string | undefined {
  return typeof value === 'string' && read(value) !== undefined ? value : undefined
}
