// Usage: record-terminals.mjs [--check] [FILE]
// Writes FILE (default: docs/terminals.svg), the picture of two terminals in the README, from a real recording: the
// built `ess-server`, and `ess send` and `ess get` in two terminals of tmux. With --check it records too, but writes
// nothing, and exits with 1 if the terminals now end with other words than the picture (but for ids, times and rates).
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { slowPath } from './recording/slow-path.mjs'
import { startServer } from './recording/start-server.mjs'
import { drawTerminals, textOfRow } from './recording/terminals-svg.mjs'

const FILE_BYTES = 25_000_000
/** So slow that the bar moves for some three seconds. */
const BYTES_A_SECOND = 8_000_000
const COLUMNS = 80
/** The two terminals, with their rows: as many as are needed, so that nothing scrolls away. */
const ROWS = { laptop: 12, desktop: 4 }
const SAMPLE_MS = 125
/** Time to read a line before the next one is typed. */
const READING_MS = 1500
/** Far more than a recording takes: one that hangs says so, and ends. */
const DEADLINE_MS = 60_000

const runFile = promisify(execFile)
const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true })
const [path = fileURLToPath(new URL('../docs/terminals.svg', import.meta.url))] = positionals

const terminals = await record()
if (values.check) {
  const words = (svg) => [...svg.matchAll(/<desc[^>]*>([^<]*)</g)].map(([, text]) => general(text)).join()
  if (words(await readFile(path, 'utf8')) !== words(drawTerminals(terminals))) {
    console.log(`${path}: the terminals say something else now; npm run docs:terminals records them again`)
    process.exitCode = 1
  }
} else await writeFile(path, drawTerminals(terminals))

/** Plays the scene, and resolves with each terminal's frames: what was on its rows, and from when on. */
async function record() {
  const folder = await mkdtemp(join(tmpdir(), 'ess-record-'))
  const server = await startServer('--base-url', 'https://send.example.org')
  const path = await slowPath(server.port, BYTES_A_SECOND)
  const tmux = await startTmux(folder, `http://127.0.0.1:${path.port}`)
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupt.abort())
  const giveUp = AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), interrupt.signal])
  try {
    const started = performance.now()
    const frames = { laptop: [], desktop: [] }
    const film = new AbortController()
    const filming = (async () => {
      while (!film.signal.aborted) {
        for (const [name, taken] of Object.entries(frames)) {
          const rows = await tmux.screen(name)
          if (rows.join('\n') !== taken.at(-1)?.rows.join('\n'))
            taken.push({ atMs: Math.round(performance.now() - started), rows })
        }
        await sleep(SAMPLE_MS)
      }
    })()
    const until = async (name, pattern) => {
      for (;;) {
        const text = (await tmux.screen(name)).map(textOfRow).join('\n')
        const match = pattern.exec(text)
        if (match !== null) return match
        if (giveUp.aborted)
          throw new Error(`gave up waiting for ${pattern} on the ${name}, which shows:\n${text}`)
        await sleep(SAMPLE_MS)
      }
    }
    await tmux.type('laptop', 'ess send holiday.mp4')
    const [, id] = await until('laptop', /^https:\/\/send\.example\.org\/([\w-]+)\//m)
    await sleep(READING_MS)
    await tmux.type('desktop', `ess get ${id}`)
    await until('desktop', /\breceived .+\n/i)
    await until('laptop', /\bdelivered .+\n/i)
    await sleep(READING_MS)
    film.abort()
    await filming
    const lastsMs = Math.round(performance.now() - started)
    return Object.entries(frames).map(([name, taken]) => ({ name, columns: COLUMNS, lastsMs, frames: taken }))
  } finally {
    await tmux.end()
    await path.close()
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Two shells, each in a folder of its own, in which `ess` is the built command. */
async function startTmux(folder, serverUrl) {
  const bin = join(folder, 'bin')
  const main = fileURLToPath(new URL('../dist/client/main.js', import.meta.url))
  await mkdir(bin)
  await writeFile(join(bin, 'ess'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
  await chmod(join(bin, 'ess'), 0o755)
  // No option and no proxy of whoever records.
  const inherited = Object.entries(process.env).filter(([name]) => !/_proxy$|^ESS_|^TMUX/i.test(name))
  const env = {
    ...Object.fromEntries(inherited),
    PATH: `${bin}:${process.env.PATH}`,
    PS1: '$ ',
    LC_ALL: 'C.UTF-8',
    XDG_CONFIG_HOME: folder,
    ESS_SERVER: serverUrl,
  }
  const name = `ess-record-${randomBytes(6).toString('hex')}`
  const tmux = async (...args) =>
    (await runFile('tmux', ['-L', name, '-f', '/dev/null', ...args], { env })).stdout
  for (const [session, count] of Object.entries(ROWS)) {
    const cwd = join(folder, session)
    await mkdir(cwd)
    const size = ['-x', String(COLUMNS), '-y', String(count)]
    const shell = ['env', `PS1=${env.PS1}`, 'bash', '--norc', '--noprofile', '-i']
    await tmux('new-session', '-d', '-s', session, '-c', cwd, ...size, ...shell)
    await tmux('set-option', '-t', session, 'status', 'off')
    await tmux('resize-window', '-t', session, ...size)
  }
  await writeFile(join(folder, 'laptop', 'holiday.mp4'), Buffer.alloc(FILE_BYTES, 7))
  return {
    screen: async (session) => {
      const rows = (await tmux('capture-pane', '-p', '-e', '-t', session)).split('\n')
      return Array.from({ length: ROWS[session] }, (_, index) => rows[index] ?? '')
    },
    async type(session, line) {
      for (const piece of line.match(/.{1,3}/g)) {
        await tmux('send-keys', '-t', session, '-l', piece)
        await sleep(SAMPLE_MS)
      }
      await tmux('send-keys', '-t', session, 'Enter')
    },
    end: () => tmux('kill-server').catch(() => {}), // Its shells may have ended it.
  }
}

/** A description without what differs from run to run. */
function general(words) {
  return words.replace(/[\w-]{12}(?=[/\s;.]|$)/g, 'ID').replace(/[\d.]+ (?:s|[kMG]?B\/s)(?=[\s,;)]|$)/g, 'N')
}
