import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { withoutKeys } from '../../../client/cli/without-keys.js'
import { ess } from '../../helpers/client-io.js'
import { tempDir } from '../../helpers/temp-dir.js'

/** A key with no piece that other words have. */
const SECRET = 'W8X4J6VYKQ3GZP7LHT5MRN2DC9FS0EUA8X4J6VYKQ3GZP7LHT5MRN2DC9FSX'.slice(0, 58)
const KEYS = [
  `AGE-SECRET-KEY-1${SECRET}`,
  `age-secret-key-1${SECRET.toLowerCase()}`,
  `AGE-SECRET-KEY-PQ-1${SECRET}`,
]
/** A cut key, too, is worth something to someone who guesses the rest. */
const PIECE = /w8x4j6vy|kq3gzp7l|ht5mrn2d|c9fs0eua/i

const ID = 'AbCdEfGhIjKl'

test('no command line has a message that shows a key, whatever is wrong with it', async () => {
  const cwd = await tempDir()
  await writeFile(join(cwd, 'f'), 'hello')
  await mkdir(join(cwd, 'photos'))
  const key = fc.constantFrom(
    ...KEYS,
    ...KEYS.map((one) => one.slice(0, 40)),
    ...KEYS.map((one) => `${one}x`),
  )
  const link = fc.constantFrom(
    ...[
      'https://127.0.0.1:1/',
      'http://127.0.0.1:1/short',
      `http://127.0.0.1:1/${ID}`,
      `127.0.0.1:1/${ID}/f`,
    ],
    ...[ID, 'h', 'ftp://h/x', `http://me:pw@127.0.0.1:1/${ID}`, 'http://127.0.0.1:1/ess.tgz', ''],
  )
  const holding = fc.oneof(
    key,
    fc.tuple(link, key).map(([one, secret]) => `${one}#${secret}`),
    fc.tuple(link, key).map(([one, secret]) => `<${one}#${secret}>.`),
    fc.tuple(link, key).map(([one, secret]) => `${one}?key=${secret}`),
    fc.tuple(link, key).map(([one, secret]) => `[${one}](${one}#${secret})`),
    key.map((secret) => `--server=http://127.0.0.1:1/#${secret}`),
    key.map((secret) => `--${secret}`),
    key.map((secret) => `--key=${secret}`),
    key.map((secret) => `-i=${secret}`),
    key.map((secret) => `/nowhere/${secret}`),
  )
  const word = fc.constantFrom(
    ...[
      'send',
      'get',
      'help',
      'doctor',
      'completion',
      'f',
      'photos',
      '-',
      '--',
      '--json',
      '--text',
      '-e',
      '-q',
    ],
    ...[
      '--to',
      '--to-file',
      '-i',
      '--identity',
      '--server',
      '--token-file',
      '--name',
      '-o',
      '--ttl',
      '--exclude',
    ],
  )
  const command = fc.constantFrom('send', 'get', 'help', 'completion', 'snd')
  const argv = fc
    .tuple(
      command,
      fc.array(word, { maxLength: 2 }),
      holding,
      fc.array(fc.oneof(word, holding), { maxLength: 2 }),
    )
    .map(([first, before, secret, after]) => [first, ...before, secret, ...after])
  await fc.assert(
    fc.asyncProperty(argv, async (line) => {
      const env = { ESS_SERVER: 'http://127.0.0.1:1', DEBUG: '1' }
      // With --name, stdin would be sent.
      const program = ess(line, { cwd, env })
      await program.status
      expect(program.stderr()).not.toMatch(PIECE)
      expect(program.stdout()).not.toMatch(PIECE)
    }),
    { numRuns: 400 },
  )
})

test('a warning shows no key either, in a script or to a person', async () => {
  const cwd = await tempDir()
  await mkdir(join(cwd, 'photos'))
  for (const look of [{}, { isWatched: true }, { isWatched: true, env: { TERM: 'dumb' } }]) {
    const line = ['send', 'photos', '--server', 'http://127.0.0.1:1', '--exclude', KEYS[0] ?? '']
    const program = ess(line, { cwd, ...look })
    expect(await program.status).toBe(6)
    expect(program.stderr()).toContain('has no effect.')
    expect(program.stderr()).not.toMatch(PIECE)
  }
})

test('the name of the kind stays, and what may be a key does not', () => {
  expect(withoutKeys(`It must be AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…, not "${KEYS[0]}".`)).toBe(
    'It must be AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…, not "AGE-SECRET-KEY-1…".',
  )
})
