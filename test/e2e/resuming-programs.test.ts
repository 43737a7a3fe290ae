import { execFileSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { code, readPage, tableOf } from '../helpers/markdown.js'
import { needs } from '../helpers/needs.js'
import { type OfferedFile, offerFile } from '../helpers/offered-file.js'
import { run } from '../helpers/run.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until, within } from '../helpers/within.js'

/** So much is out when the connection is cut. */
const CUT_AT = 2_000_000
/** A file of the same name that is shorter than what the receiver before had. */
const OLD = Buffer.alloc(1_200_000, 'an older file. ')

/** A refusal is shorter than that, and no cut comes so early. */
const REFUSAL_BYTES = 10_000

const RETRY = ['--retry', '2', '--retry-delay', '1', '--retry-all-errors']
const LFTP = 'set net:max-retries 2; set net:reconnect-interval-base 1;'

interface Program {
  /** Writes `f` into its working folder. */
  readonly first: (url: string) => readonly [string, ...(readonly string[])]
  /** What a person runs after a cut, if that is not the same again. */
  readonly again?: (url: string) => readonly [string, ...(readonly string[])]
}

/** By the first cell of their row in docs/protocol.md. */
const PROGRAMS: Readonly<Record<string, Program>> = {
  'curl -f': curl('-f'),
  'curl -fC -': curl('-f', '-C', '-'),
  'curl -C -': curl('-C', '-'),
  'curl -f --retry': curl('-f', ...RETRY),
  'curl -fC - --retry': curl('-f', '-C', '-', ...RETRY),
  'curl --retry': curl(...RETRY),
  'wget -c': { first: (url) => ['wget', '--no-config', '-q', '-c', '-O', 'f', url] },
  'aria2c -x1': aria2('-x1'),
  'aria2c -x4': aria2('-x4'),
  wget2: { first: (url) => ['wget2', '-q', '-O', 'f', url] },
  'lftp get -c': { first: (url) => ['lftp', '-c', `${LFTP} get -c '${url}' -o f`] },
  'http -dc': { first: (url) => ['http', '--ignore-stdin', '--check-status', '-dc', '-o', 'f', url] },
  'busybox wget -c': { first: (url) => ['busybox', 'wget', '-q', '-c', '-O', 'f', url] },
  axel: { first: (url) => ['axel', '-q', '-n', '3', '-o', 'f', url] },
}

function curl(...flags: readonly string[]): Program {
  return { first: (url) => ['curl', '-qsS', ...flags, '-o', 'f', url] }
}

function aria2(connections: string): Program {
  const args = [connections, '-s4', '-k1M', '--retry-wait=1', '--no-conf', '-q', '-o', 'f']
  return { first: (url) => ['aria2c', ...args, url], again: (url) => ['aria2c', '-c', ...args, url] }
}

/** What curl does since this version, where its cell says that it does something else before. */
const SINCE = /^(.*), since (\d+)\.(\d+) (.*)$/

/** A cell of the table, as this machine's curl makes it true. */
function forThisMachine(cell: string): string {
  const [, before = '', major, minor, after = ''] = SINCE.exec(cell) ?? []
  if (major === undefined) return cell
  const version = /^curl (\d+)\.(\d+)/.exec(execFileSync('curl', ['-q', '--version']).toString()) ?? []
  const isOld = Number(version[1]) - Number(major) || Number(version[2]) - Number(minor)
  return isOld < 0 ? before : after
}

const table = tableOf(await readPage('docs/protocol.md'), 'a receiver that is cut')
const seen = new Set<string>()

describe.each(Object.entries(PROGRAMS))('%s', (name, { first, again = first }) => {
  const row = table.rows.find(([cell = '']) => code(cell) === name) ?? []
  const [, byItself = '', byHand = '', over = '', old = ''] = row.map(forThisMachine)
  seen.add(name)

  test('after a cut', async (context) => {
    needs(context, first('')[0])
    const endings = new Set<string>()
    const afterwards = new Set<string>()
    for (const kind of ['rst', 'fin'] as const) {
      const offer = await offerFile()
      const cwd = await tempDir()
      const cut = offer.proxy.arm({ kind }, 'down', CUT_AT)
      const ending = await play(offer, first, cwd)
      endings.add(ending)
      if (/^refused/.test(ending)) continue
      await within(5000, 'the cut', cut)
      if (/^exits with [1-9]/.test(ending)) afterwards.add(await play(offer, again, cwd))
    }
    expect(summary(endings)).toBe(byItself)
    expect(summary(afterwards) || 'no need').toBe(byHand)
  })

  test('when its sender is gone', async (context) => {
    needs(context, first('')[0])
    const offer = await offerFile()
    const cwd = await tempDir()
    // So that the rest takes longer than the sender's farewell.
    await offer.proxy.strike({ kind: 'throttle', bytesPerSecond: 8_000_000 })
    const ended = offer.proxy.arm({ kind: 'rst' }, 'down', CUT_AT / 2).then(() => offer.stop())
    const ending = await play(offer, first, cwd)
    if (!/^refused/.test(ending)) await within(5000, 'the end of the sender', ended)
    // Whatever it did by itself, a person tries again.
    const last = /^exits with [1-9]/.test(ending) ? await play(offer, again, cwd) : ending
    expect(last).toBe(over)
  })

  test('over an old file, on a link that another receiver began', async (context) => {
    needs(context, first('')[0])
    const offer = await offerFile()
    void offer.proxy.arm({ kind: 'rst' }, 'down', CUT_AT)
    await expect(fetch(offer.url).then((answer) => answer.arrayBuffer())).rejects.toThrow()
    await until('the receiver is away', () => offer.told.includes('interrupted'))
    const cwd = await tempDir()
    await writeFile(join(cwd, 'f'), OLD)
    expect(await play(offer, again, cwd)).toBe(old)
  })
})

afterAll(() => {
  expect(table.rows.map(([cell = '']) => code(cell))).toEqual([...seen])
})

/** Runs it to its end, and says what came of it in the words of the table. */
async function play(offer: OfferedFile, command: Program['first'], cwd: string): Promise<string> {
  const news = offer.told.length
  const [program, ...args] = command(offer.url)
  const running = await run(program, program, args, { cwd })
  const { code: status } = await running.ended(30_000)
  if (status !== 0) {
    const isRefused = offer.told.slice(news).length === 0 && !(await readdir(cwd)).includes('f')
    return `${isRefused ? 'refused: ' : ''}exits with ${status}`
  }
  const files = (await readdir(cwd)).filter((name) => !name.endsWith('.aria2'))
  const contents = await Promise.all(files.map((name) => readFile(join(cwd, name))))
  if (contents.some((content) => content.equals(offer.content))) {
    const rewinds = offer.told.slice(news).filter((event) => event.startsWith('rewind'))
    if (rewinds.length === 0) return 'whole'
    return rewinds.at(-1) === 'rewind to 0' ? 'begins anew' : 'goes on'
  }
  const [{ length } = Buffer.alloc(0)] = contents
  if (length === offer.content.length) return '**mixes two files, with 0**'
  return length < REFUSAL_BYTES
    ? '**saves the refusal as the file, with 0**'
    : '**leaves a short file, with 0**'
}

/** Several endings in one cell: `exits with 18 or 56`. */
function summary(endings: ReadonlySet<string>): string {
  const statuses = [...endings].map((ending) => /^exits with (\d+)$/.exec(ending)?.[1])
  if (statuses.length > 1 && !statuses.includes(undefined))
    return `exits with ${statuses.toSorted().join(' or ')}`
  return [...endings].join('; ')
}
