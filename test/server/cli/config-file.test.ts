import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { type Flags, parseFlags } from '../../../server/cli/flags.js'
import { EssError } from '../../../shared/index.js'
import { tempDir } from '../../helpers/temp-dir.js'

async function fileOf(text: string, name = 'ess.yaml'): Promise<string> {
  const path = join(await tempDir(), name)
  await writeFile(path, text)
  return path
}

async function flagsOf(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Flags> {
  const flags = await parseFlags(argv, { stdout: new PassThrough(), env })
  if (flags === undefined) throw new Error('Expected flags, got an answer')
  return flags
}

/** What is wrong with a file, without the path of its folder. */
async function complaint(text: string, name?: string): Promise<string> {
  const path = await fileOf(text, name)
  const error = await flagsOf(['--config', path]).catch((error: unknown) => error)
  if (!(error instanceof EssError)) throw new Error(`Expected an EssError, got ${error}`)
  expect(error.code).toBe('usage')
  return error.message.replace(path, 'FILE')
}

describe('a flag goes before its variable, that before the file, and the file before the default', () => {
  const KINDS = [
    {
      kind: 'a number',
      member: 'ttl',
      flag: [['--ttl', '1'], 1],
      env: [{ ESS_TTL: '2' }, 2],
      file: ['ttl: 3', 3],
      fallback: 600,
    },
    {
      kind: 'a duration',
      member: 'drain',
      flag: [['--drain', '1m'], 60],
      env: [{ ESS_DRAIN: '1h30m' }, 5400],
      file: ['drain: 90s', 90],
      fallback: 30,
    },
    {
      kind: 'a text',
      member: 'host',
      flag: [['--host', '127.0.0.2'], '127.0.0.2'],
      env: [{ ESS_HOST: '127.0.0.3' }, '127.0.0.3'],
      file: ['host: 127.0.0.4', '127.0.0.4'],
      fallback: '127.0.0.1',
    },
    {
      kind: 'a text without a default',
      member: 'baseUrl',
      flag: [['--base-url=http://a'], 'http://a'],
      env: [{ ESS_BASE_URL: 'http://b' }, 'http://b'],
      file: ['base-url: http://c', 'http://c'],
      fallback: undefined,
    },
    {
      kind: 'a list',
      member: 'trustProxy',
      flag: [['--trust-proxy', '10.0.0.1'], ['10.0.0.1']],
      env: [{ ESS_TRUST_PROXY: '10.0.0.2' }, ['10.0.0.2']],
      file: ['trust-proxy: [10.0.0.3, 10.0.0.4]', ['10.0.0.3', '10.0.0.4']],
      fallback: undefined,
    },
    {
      kind: 'a choice',
      member: 'log',
      flag: [['--log', 'off'], 'off'],
      env: [{ ESS_LOG: 'json' }, 'json'],
      file: ['log: off', 'off'],
      fallback: 'text',
    },
    {
      kind: 'a switch, yes before no before yes',
      member: 'reservations',
      flag: [['--reservations'], true],
      env: [{ ESS_RESERVATIONS: '0' }, false],
      file: ['reservations: true', true],
      fallback: false,
    },
    {
      kind: 'a switch, no before yes before no',
      member: 'earlyResponse',
      flag: [['--no-early-response'], false],
      env: [{ ESS_EARLY_RESPONSE: 'true' }, true],
      file: ['early-response: false', false],
      fallback: true,
    },
    {
      kind: 'a switch that is given as a value',
      member: 'reservations',
      flag: [['--reservations=false'], false],
      env: [{ ESS_RESERVATIONS: '1' }, true],
      file: ['reservations: true', true],
      fallback: false,
    },
  ] as const
  const LAYERS = ['flag', 'env', 'file'] as const
  const cases = KINDS.flatMap((kind) =>
    [...Array(2 ** LAYERS.length).keys()].map((bits) => ({
      ...kind,
      given: LAYERS.filter((_layer, index) => (bits & (1 << index)) !== 0),
    })),
  )

  test.each(cases)('$kind: given by $given', async ({ member, given, flag, env, file, fallback }) => {
    const has = (layer: (typeof LAYERS)[number]) => given.includes(layer)
    const config = has('file') ? ['--config', await fileOf(file[0])] : []
    const flags = await flagsOf([...config, ...(has('flag') ? flag[0] : [])], has('env') ? { ...env[0] } : {})
    const [first] = given
    expect(flags[member]).toEqual(first === undefined ? fallback : { flag, env, file }[first][1])
  })
})

test('ESS_CONFIG names the file too, and --config goes before it', async () => {
  const env = { ESS_CONFIG: await fileOf('ttl: 3') }
  expect((await flagsOf([], env)).ttl).toBe(3)
  expect((await flagsOf(['--config', await fileOf('ttl: 4')], env)).ttl).toBe(4)
  await expect(flagsOf(['--config', env.ESS_CONFIG, '--config', env.ESS_CONFIG])).rejects.toThrow(/once/)
})

test('--help is answered with any file, even a broken one', async () => {
  const argv = ['--config', '/nowhere', '--help']
  expect(await parseFlags(argv, { stdout: new PassThrough(), env: {} })).toBeUndefined()
})

describe('a file is read as', () => {
  test.each([
    ['ess.json', '{"port": 1}'],
    ['ess.JSON', '{\n\t"port": 1\n}'],
    ['ess.yaml', '# a comment\nport: 1\n'],
    ['ess.yml', 'port: 0x1'],
    ['ess.yaml', '{"port": 1}'],
    ['ess.conf', '\n{"port": 1}'],
    ['ess.conf', 'port: 1'],
  ])('%s: %j', async (name, text) => {
    expect((await flagsOf(['--config', await fileOf(text, name)])).port).toBe(1)
  })

  test.each([
    ['ess.yaml', ''],
    ['ess.yaml', '# ttl: 5\n'],
    ['ess.json', '{}'],
  ])('nothing: %s: %j', async (name, text) => {
    const path = await fileOf(text, name)
    expect(await flagsOf(['--config', path])).toEqual({ ...(await flagsOf([])), config: path })
  })

  test('a size: a number of bytes, or with a unit', async () => {
    const sizeIn = async (text: string) => (await flagsOf(['--config', await fileOf(text)])).maxUploadBytes
    expect(await sizeIn('max-upload-bytes: 1024')).toBe(1024)
    expect(await sizeIn('max-upload-bytes: 10GiB')).toBe(10 * 2 ** 30)
  })
})

describe('a key that is no flag is refused, and the nearest flag is named', () => {
  test.each([
    ['prot: 1', 'FILE, line 1: Expected the name of a flag, got "prot"; did you mean port?'],
    [
      'ttl: 1\n\nmax_sockets: 1',
      'FILE, line 3: Expected the name of a flag, got "max_sockets"; did you mean max-sockets?',
    ],
    ['maxUploadBytes: 1', /did you mean max-upload-bytes\?$/],
    ['no-reservations: true', /got "no-reservations"; did you mean reservations\?$/],
    ['something-else-altogether: 1', /got "something-else-altogether"$/],
    ['constructor: 1', /got "constructor"$/],
    ['__proto__: 1', /got "__proto__"/],
    ['config: other.yaml', /got "config"/],
    ['check: true', /got "check"/],
    ['<<: {ttl: 1}', /got "<<"/],
  ])('%j', async (text, message) => {
    expect(await complaint(text)).toMatch(message)
  })

  test('in JSON without the line', async () => {
    const message = 'FILE: Expected the name of a flag, got "prot"; did you mean port?'
    expect(await complaint('{"prot": 1}', 'ess.json')).toBe(message)
  })
})

describe('a value of the wrong type is refused with what was expected and what came', () => {
  test.each([
    ['port: "1"', 'Expected port to be a whole number, got "1"'],
    ['port: 1.5', 'Expected port to be a whole number, got 1.5'],
    ['port: -1', 'Expected port to be a whole number, got -1'],
    ['ttl: soon', 'Expected ttl to be a duration such as 90, 90s, 10m or 1h30m, got "soon"'],
    ['ttl: 1h30', 'Expected ttl to be a duration such as 90, 90s, 10m or 1h30m, got "1h30"'],
    [
      'max-upload-bytes: 1XB',
      'Expected max-upload-bytes to be a number of bytes, or text such as 10GiB, got "1XB"',
    ],
    ['ttl:', 'Expected ttl to be a duration such as 90, 90s, 10m or 1h30m, got null'],
    ['ttl: .inf', 'Expected ttl to be a duration such as 90, 90s, 10m or 1h30m, got null'],
    ['ttl: [1]', 'Expected ttl to be a duration such as 90, 90s, 10m or 1h30m, got [1]'],
    ['reservations: yes', 'Expected reservations to be true or false, got "yes"'],
    ['reservations: 1', 'Expected reservations to be true or false, got 1'],
    ['host: 127', 'Expected host to be text, got 127'],
    ['host: ""', 'Expected host to be text, got ""'],
    ['host: [a, b]', 'Expected host to be text, got ["a","b"]'],
    ['base-url: {a: 1}', 'Expected base-url to be text, got {"a":1}'],
    ['log: loud', 'Expected log to be one of text, json, off, got "loud"'],
    [
      'max-upload-bytes: true',
      'Expected max-upload-bytes to be a number of bytes, or text such as 10GiB, got true',
    ],
    ['trust-proxy: []', 'Expected trust-proxy to be a list of texts, or one text with commas, got []'],
    ['trust-proxy: [1]', 'Expected trust-proxy to be a list of texts, or one text with commas, got [1]'],
  ])('%j', async (text, message) => {
    expect(await complaint(`# first\n${text}`)).toBe(`FILE, line 2: ${message}`)
  })
})

describe('what is no such file is refused:', () => {
  test.each([
    ['ess.json', '{"port": 1,}', /^FILE: Expected JSON: /],
    ['ess.json', '[]', 'FILE: Expected names of flags with their values, got something else'],
    ['ess.json', 'null', 'FILE: Expected names of flags with their values, got something else'],
    ['ess.yaml', 'port', 'FILE: Expected names of flags with their values, got something else'],
    ['ess.yaml', '? [port]\n: 1', 'FILE: Expected names of flags with their values, got something else'],
    ['ess.yaml', 'ttl: 1\nttl: 2', 'FILE, line 2: Expected YAML: Map keys must be unique'],
    ['ess.yaml', 'ttl: 1\nport: *no', /^FILE, line 2: Expected YAML: Unresolved alias/],
    ['ess.yaml', 'ttl: !secret 1', /^FILE, line 1: Expected YAML: Unresolved tag/],
    ['ess.yaml', 'ttl: 1\n---\nttl: 2', /^FILE, line 2: Expected YAML: .*multiple documents/],
  ])('%s: %j', async (name, text, message) => {
    expect(await complaint(text, name)).toMatch(message)
  })

  test('one that is not there', async () => {
    await expect(flagsOf(['--config', '/nowhere/ess.yaml'])).rejects.toThrow(
      'Expected --config to be a file that can be read, got /nowhere/ess.yaml: ENOENT',
    )
  })
})
