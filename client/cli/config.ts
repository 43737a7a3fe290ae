import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { EssError } from '../../shared/index.js'
import { codeOf, errnoWords } from '../node/errno-words.js'
import { meant } from './meant.js'
import { OPTIONS, type OptionRow, type OptionsWith } from './options.js'

/**
 * What config.json sets, named after the options: a server and its token, and whether to encrypt. `tokenFile` is an
 * absolute path here; in the file it may be relative to the file's own folder.
 */
export type Config = {
  readonly [Name in OptionsWith<{
    isConfigurable: true
  }>]?: (typeof OPTIONS)[Name]['kind'] extends 'on or off' ? boolean : string
}

const KINDS = new Map(
  Object.entries<OptionRow>(OPTIONS)
    .filter(([, { isConfigurable }]) => isConfigurable)
    .map(([name, { kind }]) => [name, kind]),
)
const KEYS = [...KINDS.keys()]

/** The configuration, or why it can't be read: under `sudo`, cron or systemd, HOME may be another user's. */
export interface ConfigReading {
  /** Empty if there is no file. */
  readonly config: Config
  /** EssError `usage`. It matters only to a command that needs the configuration. */
  readonly trouble?: EssError
}

/**
 * Reads `ess/config.json` in `XDG_CONFIG_HOME` or, without that, in `~/.config`. Throws EssError `usage` for a file
 * that is readable but wrong; the message shows nothing from the file but the name of a key.
 */
export async function readConfig(env: Readonly<Record<string, string | undefined>>): Promise<ConfigReading> {
  const path = configPath(env)
  if (path === undefined) return { config: {} }
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return { config: {} }
    const advice = 'Make it readable, or name your server with --server or ESS_SERVER.'
    const words = `Cannot read ${path}: ${errnoWords('configure', error) ?? code}. ${advice}`
    const trouble = new EssError('usage', words)
    return { config: {}, trouble }
  }
  const config = parseConfig(text, path)
  if (config.tokenFile === undefined) return { config }
  return { config: { ...config, tokenFile: resolve(dirname(path), config.tokenFile) } }
}

/**
 * Undefined if neither variable names a folder. The XDG specification says to ignore a relative path. We ignore a
 * relative HOME too: it would read the file from the current folder, which may belong to another user.
 */
function configPath({ XDG_CONFIG_HOME = '', HOME = '' }: Readonly<Record<string, string | undefined>>) {
  if (isAbsolute(XDG_CONFIG_HOME)) return join(XDG_CONFIG_HOME, 'ess', 'config.json')
  return isAbsolute(HOME) ? join(HOME, '.config', 'ess', 'config.json') : undefined
}

function parseConfig(text: string, path: string): Config {
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch {
    // The parser's own message would quote the file.
    throw wrong(path, `is not JSON. ${EXAMPLE}`)
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw wrong(path, `must hold an object. ${EXAMPLE}`)
  for (const [key, value] of Object.entries(config)) {
    if (!KEYS.includes(key)) throw wrong(path, `has a key that ess doesn't know, "${key}". ${adviceOn(key)}`)
    if (KINDS.get(key) === 'on or off') {
      if (typeof value !== 'boolean')
        throw wrong(
          path,
          `has a value for "${key}" that is not true or false. Write one of them, without quotes.`,
        )
    } else if (typeof value !== 'string')
      throw wrong(path, `has a value for "${key}" that is not text. Write it between double quotes.`)
  }
  return config // Every member was checked above.
}

const EXAMPLE = 'Write it like {"server": "https://send.example.org"}.'

function adviceOn(key: string): string {
  const near = meant(key, KEYS)
  return near === undefined ? `The keys are ${KEYS.join(', ')}.` : `Did you mean "${near}"?`
}

function wrong(path: string, words: string): EssError {
  return new EssError('usage', `${path} ${words}`)
}
