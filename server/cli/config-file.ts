import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { EssError } from '../../shared/index.js'
import { nearestName } from '../broker/nearest-name.js'

/** What a key of the file may be set to. */
export interface ConfigKey {
  /** A switch is true or false; a size a number of bytes, or text with a unit; a list also text with commas. */
  readonly kind: 'text' | 'switch' | 'seconds' | 'whole' | 'size' | 'list'
  readonly choices?: readonly string[] | undefined
}

/** One setting as it stands in the file. */
interface Entry {
  readonly key: string
  readonly value: unknown
  /** From 1; undefined where JSON was read. */
  readonly line?: number | undefined
}

/**
 * Reads a configuration file, JSON or YAML, into what the same flags would be given on a command line.
 * Throws EssError `usage` that names the file, the line where it is YAML, what was expected and what came.
 */
export async function readConfigFile(
  path: string,
  keys: Readonly<Record<string, ConfigKey>>,
): Promise<Record<string, string | boolean>> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new EssError('usage', `Expected --config to be a file that can be read, got ${path}: ${error.code}`)
  })
  const entries = isJson(path, text) ? jsonEntries(path, text) : yamlEntries(path, text)
  return Object.fromEntries(
    entries.map((entry) => {
      const { key, value } = entry
      // Not an inherited one, such as "constructor".
      const known = Object.hasOwn(keys, key) ? keys[key] : undefined
      if (known === undefined) throw wrong(path, entry, unknownKey(key, Object.keys(keys)))
      const flag = flagValue(known, value)
      if (flag !== undefined) return [key, flag]
      throw wrong(path, entry, `Expected ${key} to be ${inWords(known)}, got ${JSON.stringify(value)}`)
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
    // JSON.parse throws nothing else.
    throw new EssError('usage', `${path}: Expected JSON: ${(error as SyntaxError).message}`)
  }
}

function yamlEntries(path: string, text: string): Entry[] {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) {
    const { line } = lines.linePos(problem.pos[0])
    throw wrong(path, { line }, `Expected YAML: ${problem.message}`)
  }
  // Nothing but comments is a file without settings.
  if (document.contents === null) return []
  if (!isMap(document.contents)) throw noSettings(path)
  return document.contents.items.map(({ key, value }) => {
    if (!isScalar(key)) throw noSettings(path)
    const { line } = lines.linePos(key.range[0])
    try {
      return { key: String(key.value), value: value?.toJS(document) ?? null, line }
    } catch (error) {
      // An alias of nothing, or of far too much.
      throw wrong(path, { line }, `Expected YAML: ${(error as Error).message}`)
    }
  })
}

function noSettings(path: string): EssError {
  return new EssError('usage', `${path}: Expected names of flags with their values, got something else`)
}

function wrong(path: string, { line }: Pick<Entry, 'line'>, message: string): EssError {
  return new EssError('usage', `${path}${line === undefined ? '' : `, line ${line}`}: ${message}`)
}

function unknownKey(key: string, known: readonly string[]): string {
  // Whoever writes max_sockets or maxSockets means the flag.
  const plain = key
    .replace(/_|\B(?=[A-Z])/g, '-')
    .toLowerCase()
    .replace(/^no-/, '')
  const nearest = nearestName(plain, known)
  return `Expected the name of a flag, got ${JSON.stringify(key)}${nearest ? `; did you mean ${nearest}?` : ''}`
}

/** Text is checked as that of a flag afterwards; undefined where the type is wrong. */
function flagValue({ kind, choices }: ConfigKey, value: unknown): string | boolean | undefined {
  switch (kind) {
    case 'switch':
      return typeof value === 'boolean' ? value : undefined
    case 'seconds':
      return isNumber(value) ? String(value) : undefined
    case 'whole':
      return isNumber(value) && Number.isSafeInteger(value) ? String(value) : undefined
    case 'size':
      return isNumber(value) && Number.isSafeInteger(value) ? String(value) : textOf(value)
    case 'list':
      return Array.isArray(value) && value.length > 0 && value.every(isListItem)
        ? value.join(',')
        : textOf(value)
    case 'text':
      return choices === undefined || choices.some((choice) => choice === value) ? textOf(value) : undefined
    default:
      return kind satisfies never
  }
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function isListItem(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && !value.includes(',')
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function inWords({ kind, choices }: ConfigKey): string {
  if (choices !== undefined) return `one of ${choices.join(', ')}`
  return {
    text: 'text',
    switch: 'true or false',
    seconds: 'a number of seconds',
    whole: 'a whole number',
    size: 'a number of bytes, or text such as 10GiB',
    list: 'a list of texts, or one text with commas',
  }[kind]
}
