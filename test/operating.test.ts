import { readdir } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { code, readPage, tableOf } from './helpers/markdown.js'
import { run } from './helpers/run.js'
import { ESS_SERVER } from './helpers/start-server.js'

/** What `ess-server --help` says, in one line. */
async function help(): Promise<string> {
  const { stdout } = await (await run('ess-server --help', process.execPath, [ESS_SERVER, '--help'])).ended()
  return stdout.toString().replace(/\s+/g, ' ')
}

async function flags(): Promise<Set<string>> {
  return new Set([...(await help()).matchAll(/ --([a-z][a-z-]+)(?= )/g)].map(([, name = '']) => name))
}

/** The flags of `ess-server` that a page, a unit or an image sets by their variables. */
function variablesIn(page: string): string[] {
  return [...page.matchAll(/\bESS_([A-Z_]+)=/g)].map(([, name = '']) =>
    name.toLowerCase().replaceAll('_', '-'),
  )
}

describe('docs/operating.md', () => {
  /** Of docker and curl, which it shows too. */
  const NOT_OURS = ['stop-timeout', 'retry']

  test('names no flag and no variable that ess-server does not have', async () => {
    const page = await readPage('docs/operating.md')
    const named = [...page.matchAll(/--([a-z][a-z-]+)/g)].map(([, name = '']) => name)
    expect(named.length).toBeGreaterThan(10)
    const known = await flags()
    expect(
      [...named, ...variablesIn(page)].filter((name) => !known.has(name) && !NOT_OURS.includes(name)),
    ).toEqual([])
  })

  test('has every limit, with the default that --help says', async () => {
    const { rows } = tableOf(await readPage('docs/operating.md'), 'limit')
    const limits = rows.map(([flag = '']) => code(flag).slice(2))
    const said = await help()
    for (const [index, [, value = '']] of rows.entries()) {
      const entry = new RegExp(` --${limits[index]} .*?\\[default: "?([^\\]"]+)"?\\]`).exec(said)
      expect(entry?.[1], limits[index]).toBe(value.replace(/ s$/, 's'))
    }
    const all = [...(await flags())].filter((name) =>
      /^max-|timeout$|^(?:ttl|heartbeat|drain|resume-within)$/.test(name),
    )
    expect(all.filter((name) => !limits.includes(name))).toEqual([])
  })
})

test('docs/operating.md permits every command that a node sends to Redis, and no other', async () => {
  const [, list = ''] = /`~ess:\* &ess:\* ([^`]+)`/.exec(await readPage('docs/operating.md')) ?? []
  const permitted = list.split(' ').map((name) => name.replace('+', ''))
  const folder = new URL('../server/locator/', import.meta.url)
  const sources = (await readdir(folder)).map((name) => readPage(`server/locator/${name}`))
  const commands = (await Promise.all(sources)).flatMap((source) =>
    [...source.matchAll(/(?:redis\.call|\.ask)\('([A-Z]+)'/g)].map(([, name = '']) => name.toLowerCase()),
  )
  // The library sends these: to log in, and for channels.
  const used = new Set(['hello', 'auth', 'select', 'subscribe', 'unsubscribe', ...commands])
  expect(commands.length).toBeGreaterThan(20)
  expect(permitted.toSorted()).toEqual([...used].sort())
})

describe.each(['docs/ess-server.service', 'Dockerfile'])('%s', (path) => {
  test('sets no variable that ess-server does not read', async () => {
    const known = await flags()
    const set = variablesIn(await readPage(path))
    expect(set.length).toBeGreaterThan(0)
    expect(set.filter((name) => !known.has(name))).toEqual([])
  })

  test('gives a drain the time that it has by default, and more', async () => {
    const [, seconds] = /(?:TimeoutStopSec=|--stop-timeout )(\d+)/.exec(await readPage(path)) ?? []
    const [, drain] = / --drain .*?\[default: (\d+)s\]/.exec((await help()).replaceAll('"', '')) ?? []
    expect(Number(seconds)).toBeGreaterThan(Number(drain))
  })
})

describe('docs/ess-server.service', () => {
  test('does not start again and again a server whose options are wrong', async () => {
    const wrong = await run('ess-server', process.execPath, [ESS_SERVER, '--host', '0.0.0.0'])
    const { code: status } = await wrong.ended()
    expect(await readPage('docs/ess-server.service')).toMatch(
      new RegExp(`^RestartPreventExitStatus=${status}\\b`, 'm'),
    )
  })
})
