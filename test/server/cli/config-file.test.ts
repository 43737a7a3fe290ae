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
    ['prot: 1', 'FILE, line 1: there is no option "prot". Did you mean port?'],
    ['ttl: 1\n\nmax_sockets: 1', 'FILE, line 3: there is no option "max_sockets". Did you mean max-sockets?'],
    ['maxUploadBytes: 1', /Did you mean max-upload-bytes\?$/],
    ['no-reservations: true', /"no-reservations"\. Did you mean reservations\?$/],
    ['something-else-altogether: 1', /no option "something-else-altogether"\. See ess-server --help\.$/],
    ['constructor: 1', /no option "constructor"\. See/],
    ['__proto__: 1', /no option "__proto__"/],
    ['config: other.yaml', /no option "config"/],
    ['check: true', /no option "check"/],
    ['<<: {ttl: 1}', /no option "<<"/],
  ])('%j', async (text, message) => {
    expect(await complaint(text)).toMatch(message)
  })

  test('in JSON without the line', async () => {
    const message = 'FILE: there is no option "prot". Did you mean port?'
    expect(await complaint('{"prot": 1}', 'ess.json')).toBe(message)
  })
})

describe('a value of the wrong type is refused with what was expected and what came', () => {
  test.each([
    ['port: "1"', 'port must be a whole number, not "1".'],
    ['port: 1.5', 'port must be a whole number, not 1.5.'],
    ['port: -1', 'port must be a whole number, not -1.'],
    ['workers: all', 'workers must be a whole number or auto, not "all".'],
    ['ttl: soon', 'ttl must be a duration such as 90, 90s, 10m or 1h30m, not "soon".'],
    ['ttl: 1h30', 'ttl must be a duration such as 90, 90s, 10m or 1h30m, not "1h30".'],
    [
      'max-upload-bytes: 1XB',
      'max-upload-bytes must be a number of bytes, or text such as 10GiB, not "1XB".',
    ],
    ['ttl:', 'ttl must be a duration such as 90, 90s, 10m or 1h30m, not null.'],
    ['ttl: .inf', 'ttl must be a duration such as 90, 90s, 10m or 1h30m, not null.'],
    ['ttl: [1]', 'ttl must be a duration such as 90, 90s, 10m or 1h30m, not [1].'],
    ['reservations: yes', 'reservations must be true or false, not "yes".'],
    ['reservations: 1', 'reservations must be true or false, not 1.'],
    ['host: 127', 'host must be text, not 127.'],
    ['host: ""', 'host must be text, not "".'],
    ['host: [a, b]', 'host must be text, not ["a","b"].'],
    ['base-url: {a: 1}', 'base-url must be text, not {"a":1}.'],
    ['log: loud', 'log must be one of text, json, off, not "loud".'],
    [
      'max-upload-bytes: true',
      'max-upload-bytes must be a number of bytes, or text such as 10GiB, not true.',
    ],
    ['trust-proxy: []', 'trust-proxy must be a list of texts, or one text with commas, not [].'],
    ['trust-proxy: [1]', 'trust-proxy must be a list of texts, or one text with commas, not [1].'],
  ])('%j', async (text, message) => {
    expect(await complaint(`# first\n${text}`)).toBe(`FILE, line 2: ${message}`)
  })
})

describe('what is no such file is refused:', () => {
  test.each([
    ['ess.json', '{"port": 1,}', /^FILE: this is not valid JSON: /],
    ['ess.json', '[]', 'FILE must hold options and their values, such as "port: 9000".'],
    ['ess.json', 'null', 'FILE must hold options and their values, such as "port: 9000".'],
    ['ess.yaml', 'port', 'FILE must hold options and their values, such as "port: 9000".'],
    ['ess.yaml', '? [port]\n: 1', 'FILE must hold options and their values, such as "port: 9000".'],
    ['ess.yaml', 'ttl: 1\nttl: 2', 'FILE, line 2: this is not valid YAML: Map keys must be unique.'],
    ['ess.yaml', 'ttl: 1\nport: *no', /^FILE, line 2: this is not valid YAML: Unresolved alias/],
    ['ess.yaml', 'ttl: !secret 1', /^FILE, line 1: this is not valid YAML: Unresolved tag/],
    ['ess.yaml', 'ttl: 1\n---\nttl: 2', /^FILE, line 2: this is not valid YAML: .*multiple documents/],
  ])('%s: %j', async (name, text, message) => {
    expect(await complaint(text, name)).toMatch(message)
  })

  test('one that is not there', async () => {
    await expect(flagsOf(['--config', '/nowhere/ess.yaml'])).rejects.toThrow(
      'Cannot read the configuration in /nowhere/ess.yaml: there is no such file.',
    )
  })
})
