import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { COMMAND_NAMES, COMMANDS, SHELLS, synopsis } from '../client/cli/commands.js'
import {
  effectsOf,
  type Input,
  nextStep,
  phaseOf,
  type Stage,
  type Step,
} from '../server/broker/lifecycle.js'
import { parseFlags } from '../server/cli/flags.js'
import {
  CORS_HEADERS,
  EssError,
  EXIT_STATUS,
  encodeStatus,
  PROBLEMS,
  problemLine,
  QUERY,
  StatusDecoder,
  type StatusEvent,
  toProblem,
} from '../shared/index.js'
import { type Answer, parseAnswer, requestHead } from './helpers/http-exchange.js'
import { code, fencedBlocks, readPage, tableOf } from './helpers/markdown.js'
import { connectRaw } from './helpers/raw-peer.js'
import { run } from './helpers/run.js'
import { ESS_SERVER, startServer } from './helpers/start-server.js'
import { tempDir } from './helpers/temp-dir.js'

describe('docs/lifecycle.md', () => {
  // Records, because the compiler then misses a phase or an input that the page could miss too.
  const STAGES = {
    reserved: true,
    waiting: true,
    connected: true,
    streaming: true,
    between: true,
    absent: true,
    'sender-away': true,
    rewinding: true,
    'receiver-away': true,
    'both-away': true,
    closed: true,
  } satisfies Record<Stage, true>
  const INPUTS = {
    'sender-arrived': true,
    'receiver-arrived': true,
    'receiver-returned': true,
    'early-receiver-lost': true,
    'body-began': true,
    'piece-taken': true,
    delivered: true,
    expired: true,
    'sender-interrupted': true,
    'receiver-interrupted': true,
    'return-expired': true,
    'sender-lost': true,
    'receiver-lost': true,
    'bad-request': true,
    'no-file-in-form': true,
    'too-large': true,
    stalled: true,
    'internal-error': true,
    cancelled: true,
    'shutting-down': true,
    moved: true,
    reopened: true,
    'reopened-midway': true,
  } satisfies Record<Input, true>

  function inWords(step: Step): string {
    if (step === 'ignored') return step
    if ('stay' in step) return `stay: ${inList(step.stay)}`
    const [[verb, what] = []] = Object.entries(step)
    return `${verb}: \`${what}\``
  }

  function inList(effects: readonly string[]): string {
    return effects.length === 0 ? 'nothing' : effects.map((effect) => `\`${effect}\``).join(', ')
  }

  test('its table is the one in the code, cell by cell', async () => {
    // Two tables begin with "input"; the other one explains them.
    const [transitions] = (await readPage('docs/lifecycle.md')).split('## The inputs')
    const { head, rows } = tableOf(transitions ?? '', 'input')
    const stages = Object.keys(STAGES) as Stage[]
    const inputs = Object.keys(INPUTS) as Input[]
    expect(head.slice(1).map(code)).toEqual(stages)
    expect(rows).toEqual(
      inputs.map((input) => [`\`${input}\``, ...stages.map((stage) => inWords(nextStep(stage, input)))]),
    )
  })

  test('what it says of entering and leaving a phase is what the code does', async () => {
    const page = await readPage('docs/lifecycle.md')
    const { rows } = tableOf(page, 'phase')
    const stages = Object.keys(STAGES) as Stage[]
    expect(rows).toEqual(
      stages.map((stage) => {
        const { enter, leave } = effectsOf(stage)
        return [`\`${stage}\``, inList(enter), inList(leave)]
      }),
    )
    const stays = stages.flatMap((stage) =>
      (Object.keys(INPUTS) as Input[]).flatMap((input) => {
        const step = nextStep(stage, input)
        return typeof step === 'object' && 'stay' in step ? step.stay : []
      }),
    )
    const all = [
      ...stays,
      ...stages.flatMap((stage) => [...effectsOf(stage).enter, ...effectsOf(stage).leave]),
    ]
    const explained = tableOf(page, 'effect').rows.map(([effect = '']) => code(effect))
    expect(explained.toSorted()).toEqual([...new Set(all)].sort())
  })

  test('it explains every input', async () => {
    const [, explanations] = (await readPage('docs/lifecycle.md')).split('## The inputs')
    expect(tableOf(explanations ?? '', 'input').rows.map(([input = '']) => code(input))).toEqual(
      Object.keys(INPUTS),
    )
  })

  test('its diagrams are those in the code', async () => {
    const diagrams = fencedBlocks(await readPage('docs/lifecycle.md')).map(({ text }) => dedent(text))
    const comment = (await readPage('server/broker/lifecycle.ts')).replace(/^ \* ?/gm, '')
    expect(diagrams).toEqual(fencedBlocks(comment).map(({ text }) => dedent(text)))
    expect(diagrams).toEqual([expect.stringContaining('waiting'), expect.stringContaining('rewinding')])
  })

  test('it says how each stage is told to listeners and operators', async () => {
    const { rows } = tableOf(await readPage('docs/lifecycle.md'), 'stage')
    const told = rows.map(([stage = '', , phase = '']) => [code(stage), code(phase)])
    const phases: string[] = (Object.keys(STAGES) as Stage[]).map(phaseOf)
    const plain = Object.keys(STAGES).filter((stage) => phases.includes(stage) || stage === 'connected')
    const others = (Object.keys(STAGES) as Stage[]).filter((stage) => !plain.includes(stage))
    expect(told).toEqual(others.map((stage) => [stage, phaseOf(stage)]))
  })
})

describe('docs/errors.md', () => {
  test('every code has a heading, with its statuses, and no heading is without a code', async () => {
    const page = await readPage('docs/errors.md')
    const headings = [...page.matchAll(/^## (.*)\n\n(.*)\n\n(.*)$/gm)]
    expect(headings).toHaveLength((page.match(/^## /gm) ?? []).length)
    const described = headings.map(([, name = '', statuses = '', meaning = '']) => {
      expect(meaning, name).toMatch(/^[A-Z`].*\.$/)
      return [name, statuses]
    })
    const expected = Object.entries(PROBLEMS).map(([name, { status, exit }]) => [
      name,
      `${status === null ? 'No HTTP status' : `HTTP ${status}`}, exit ${exit}.`,
    ])
    expect(described).toEqual(expected)
  })

  test('it lists every exit status', async () => {
    const { rows } = tableOf(await readPage('docs/errors.md'), 'exit')
    expect(rows.map(([exit]) => Number(exit))).toEqual(Object.values(EXIT_STATUS))
  })
})

test('docs/cli.md lists the exit statuses that this version of ess has', async () => {
  const { rows } = tableOf(await readPage('docs/cli.md'), '`ess` exits with')
  expect(rows.map(([exit]) => Number(exit))).toEqual(Object.values(EXIT_STATUS))
})

test('docs/cli.md has every command, and the line of each shell', async () => {
  const page = await readPage('docs/cli.md')
  expect(tableOf(page, 'command').rows.map(([command]) => command)).toEqual(
    COMMAND_NAMES.map((name) => `\`${synopsis(name)}\``),
  )
  expect(tableOf(page, 'shell').rows.map(([shell, line = '']) => [shell, code(line)])).toEqual(
    SHELLS.map((shell, index) => [shell, COMMANDS.completion.examples[index]?.[0]]),
  )
})

describe('docs/protocol.md', () => {
  async function blocks(language: string): Promise<string[]> {
    const all = fencedBlocks(await readPage('docs/protocol.md'))
    return all.filter((block) => block.language === language).map(({ text }) => text)
  }

  test('it has no block that no test looks at', async () => {
    const languages = fencedBlocks(await readPage('docs/protocol.md')).map(({ language }) => language)
    expect(languages).toEqual(['http', 'http', 'ndjson', 'sse', 'text', 'http', 'json', 'text', 'http'])
  })

  test('its two forms of the status stream are what the code writes', async () => {
    const [ndjson = ''] = await blocks('ndjson')
    const [text] = await blocks('text')
    const [sse] = await blocks('sse')
    const events = new StatusDecoder().push(ndjson)
    expect(events.map((event) => encodeStatus(event, 'ndjson')).join('')).toBe(ndjson)
    expect(events.map((event) => encodeStatus(event, 'text')).join('')).toBe(text)
    const progress = events.filter(({ event }) => event === 'progress').slice(-1)
    // A block ends where its last line does; an event ends with an empty line.
    expect(progress.map((event) => encodeStatus(event, 'sse')).join('')).toBe(`${sse}\n`)
    const shown = new Set(events.map(({ event }) => event))
    expect(shown).toEqual(new Set(Object.keys(EVENTS)))
  })

  const EVENTS = {
    opened: true,
    reserved: true,
    waiting: true,
    connected: true,
    progress: true,
    interrupted: true,
    resumed: true,
    rewind: true,
    moved: true,
    delivered: true,
    failed: true,
  } satisfies Record<StatusEvent['event'], true>

  test('its tables name every event and every query parameter', async () => {
    const page = await readPage('docs/protocol.md')
    expect(tableOf(page, 'event').rows.map(([event = '']) => code(event))).toEqual(Object.keys(EVENTS))
    expect(tableOf(page, 'query parameter').rows.map(([name = '']) => code(name))).toEqual(
      Object.values(QUERY),
    )
  })

  test('its problems are what the code writes', async () => {
    const [json = ''] = await blocks('json')
    const [, text = ''] = await blocks('text')
    const error = new EssError('not-found', text.replace(/ \[not-found\]\n$/, '').trimEnd())
    expect(text).toBe(problemLine(error))
    expect(JSON.parse(json)).toEqual(toProblem(error))
  })

  test('its heads are what is on the wire', async () => {
    const [upload = '', created = '', ok = ''] = await blocks('http')
    const server = await startServer('--base-url', 'https://send.example.org')
    const sender = await connectRaw(server.port)
    await sender.write(`${upload.trimEnd().replaceAll('\n', '\r\n')}\r\n\r\n`)
    const [, id = ''] = await sender.until(/"opened".*"id":"([^"]+)".*\n/)
    const receiver = await connectRaw(server.port)
    await receiver.write(requestHead(`GET /${id}/notes.txt`))
    await sender.until(/"connected"/)
    await sender.write('hello')
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    await sender.until(/"delivered"/)

    const [, early = ''] = /^HTTP\/1\.1 100 Continue\r\n\r\n(.*?\r\n\r\n)/s.exec(sender.text()) ?? []
    const cors = Object.keys(CORS_HEADERS).map((name) => name.toLowerCase())
    const unsaid = [...cors, 'date', 'connection', 'keep-alive']
    expect(without(headOf(early), unsaid)).toEqual(headOf(created, id))
    const answer = parseAnswer(receiver.text())
    expect(answer.body).toBe('hello')
    expect(without(answer, ['date'])).toEqual(headOf(ok, id))
  })
})

describe('docs/deploying.md', () => {
  async function section(name: string) {
    const [, text] = (await readPage('docs/deploying.md')).split(`## ${name}\n`)
    return fencedBlocks(text?.split('\n## ')[0] ?? '')
  }

  async function written(file: string, text: string): Promise<string> {
    const path = join(await tempDir(), file)
    await writeFile(path, text)
    return path
  }

  test('its two forms of a configuration file say the same, and not the defaults', async () => {
    const forms = (await section('A configuration file')).map(async ({ language, text }) => {
      const argv = ['--config', await written(`ess-server.${language}`, text)]
      const flags = await parseFlags(argv, { stdout: new PassThrough(), env: {} })
      expect(flags?.config).toBe(argv[1])
      return { language, settings: { ...flags, config: 'read' } }
    })
    const [yaml, json, ...more] = await Promise.all(forms)
    expect([yaml?.language, json?.language, more]).toEqual(['yaml', 'json', []])
    expect(yaml?.settings).toEqual(json?.settings)
    expect(yaml?.settings).toMatchObject({
      ttl: 3600,
      trustProxy: ['127.0.0.1', '10.0.0.0/8'],
      reservations: true,
    })
  })

  test('--check prints what it shows, and ends with 0 by itself', async () => {
    const [yaml] = await section('A configuration file')
    const [command, shown] = await section('Before it starts')
    const path = await written('ess-server.yaml', yaml?.text ?? '')
    const [, ...args] = command?.text.trim().replace('/etc/ess-server.yaml', path).split(' ') ?? []
    const program = await run('ess-server --check', process.execPath, [ESS_SERVER, ...args], {
      env: { ESS_PORT: '0' },
    })
    const { code, stdout, stderr } = await program.ended()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const general = (text: string) =>
      text
        .replace(/(?<=^ok: relay: ).*$/m, 'GEAR')
        .replace(/(?<=127\.0\.0\.1)(?:, any free port|:9000)$/m, '')
    expect(general(stdout.toString())).toBe(general(shown?.text.replace('/etc/ess-server.yaml', path) ?? ''))
  })
})

type Head = Pick<Answer, 'status' | 'headers'>

/** The head of an answer, as a page shows it or as it came; the id of the pages becomes `id`. */
function headOf(text: string, id = ''): Head {
  const shown = `${text.trimEnd().replace(/\r?\n/g, '\r\n')}\r\n\r\n`.replace(
    'Transfer-Encoding: chunked\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  )
  return without(parseAnswer(shown.replaceAll('Q7nB3kXw_f2d', id)), [])
}

function without({ status, headers }: Head, names: readonly string[]): Head {
  const kept = Object.entries(headers).filter(([name]) => !names.includes(name))
  return { status, headers: Object.fromEntries(kept) }
}

function dedent(text = ''): string {
  const lines = text.split('\n')
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/))
  return lines.map((line) => line.slice(Math.min(...indents)).trimEnd()).join('\n')
}
