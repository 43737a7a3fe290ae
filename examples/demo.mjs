// Sends one file through a real server, twice, with the real commands: `npm run demo`.
// Exits with 0 only if both copies are the same as the original, byte for byte.
import { spawn } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'
import { formatBytes } from 'ephemeral-socket-service/protocol'

const PIECE_BYTES = 1_000_000
const FILE_BYTES = 250 * PIECE_BYTES
/** Far longer than any step takes. A demo that hangs says where, and ends. */
const DEADLINE_MS = 120_000

const BINS = {
  ess: fileURLToPath(new URL('../dist/ess/ess.cjs', import.meta.url)),
  'ess-server': fileURLToPath(new URL('../dist/server/main.js', import.meta.url)),
}

/** The processes that are still running. */
const running = new Set()
const interrupt = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupt.abort(signal))

const folder = await mkdtemp(join(tmpdir(), 'ess-demo-'))
try {
  await demo()
} catch (error) {
  process.exitCode = interrupt.signal.aborted ? 130 : 1
  say(`\n${paint('red', interrupt.signal.aborted ? 'Interrupted.' : `It went wrong: ${error.message}`)}`)
} finally {
  await Promise.all([...running].map(end))
  await rm(folder, { recursive: true, force: true })
}

async function demo() {
  say(paint('bold', 'One file, twice through a server that stores nothing'))

  title('A server')
  command('ess-server --port 0')
  const server = start('ess-server', ['--port', '0', '--log', 'off'])
  const [listening, url] = await server.says(/^listening on (\S+)\n/)
  say(`  ${listening.trim()}`)

  title('A file')
  const path = join(folder, 'demo.bin')
  const making = stopwatch()
  const original = await makeFile(path)
  fact('size', `${formatBytes(FILE_BYTES)} of noise, made in ${making()}`)
  fact('sha256', short(original))

  title('From ess to ess')
  await transfer(url, path, original, receiveByEss)

  title('From ess to curl')
  await transfer(url, path, original, receiveByCurl)

  await end(server)
  say(
    `\n${paint('green', 'Both copies are the same, byte for byte.')} The server has stopped, and it never wrote a file.\n`,
  )
}

/** Sends the file, lets `receive` fetch it, and compares. */
async function transfer(serverUrl, path, original, receive) {
  command(`ess send ${basename(path)}`)
  const sender = start('ess', ['send', path], { ESS_SERVER: serverUrl })
  const [, url] = await sender.says(/^(http\S+)\n/)
  say(`  ${url}`)
  const time = stopwatch()
  const copy = join(folder, 'copy.bin')
  await receive(serverUrl, url, copy)
  await sender.succeeds()
  const rate = formatBytes(Math.round(FILE_BYTES / time.seconds()))
  fact('time', `${time()}, ${rate}/s`)
  fact('sender', 'exit 0: it was told that every byte has arrived')
  const received = await sha256(copy)
  if (received !== original) throw new Error(`the copy differs: its SHA-256 is ${received}, not ${original}`)
  fact('sha256', `${short(received)}  ${paint('green', 'the same')}`)
  // To make room for the next copy.
  await rm(copy)
}

async function receiveByEss(serverUrl, url, copy) {
  const id = new URL(url).pathname.split('/')[1]
  command(`ess get ${id} -o ${basename(copy)}`)
  await start('ess', ['get', id, '-o', copy], { ESS_SERVER: serverUrl }).succeeds()
}

async function receiveByCurl(_serverUrl, url, copy) {
  const curl = start('curl', ['-q', '-sS', '-f', '-o', copy, url])
  if (await curl.isMissing()) {
    say('  curl is not installed here, so Node’s fetch stands in for it')
    const response = await fetch(url, { signal: interrupt.signal })
    if (!response.ok) throw new Error(`fetch was answered with ${response.status}`)
    await pipeline(Readable.fromWeb(response.body), createWriteStream(copy))
    return
  }
  command(`curl -f -o ${basename(copy)} ${url}`)
  await curl.succeeds()
}

/** Fast noise: the same piece again and again, each with its own number, so that a lost one shows. */
async function makeFile(path) {
  const hash = createHash('sha256')
  const noise = randomFillSync(Buffer.alloc(PIECE_BYTES))
  async function* pieces() {
    for (let number = 0; number < FILE_BYTES / PIECE_BYTES; number++) {
      const piece = Buffer.from(noise)
      piece.writeUInt32LE(number)
      hash.update(piece)
      yield piece
    }
  }
  await pipeline(pieces, createWriteStream(path), { signal: interrupt.signal })
  return hash.digest('hex')
}

async function sha256(path) {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), hash, { signal: interrupt.signal })
  return hash.digest('hex')
}

/** Starts one of our commands, or another program, without the user's proxies and `ESS_` variables. */
function start(program, args, env = {}) {
  const bin = BINS[program]
  const inherited = Object.entries(process.env).filter(([name]) => !/_proxy$|^ESS_/i.test(name))
  const child = spawn(
    bin === undefined ? program : process.execPath,
    bin === undefined ? args : [bin, ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...Object.fromEntries(inherited), ...env },
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  const ending = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.code))
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  const self = { child, ending, says, succeeds, isMissing }
  running.add(self)
  void ending.then(() => running.delete(self))
  return self

  /** Waits for a line on stdout. */
  function says(pattern) {
    return within(
      `${program} answers`,
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(stdout)
          if (match !== null) resolve(match)
        }
        child.stdout.on('data', look)
        look()
        void ending.then((status) => reject(new Error(`${program} ended with ${status}: ${stderr.trim()}`)))
      }),
    )
  }

  async function succeeds() {
    const status = await within(`${program} ends`, ending)
    if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr.trim()}`)
  }

  async function isMissing() {
    await Promise.race([once(child, 'spawn').catch(() => {}), ending])
    return child.pid === undefined
  }
}

/** Ends one of our processes, and waits until it is gone. */
async function end({ child, ending }) {
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ending
  clearTimeout(force)
}

/** Resolves like `promise`. Rejects if that takes too long, or if the user interrupts. */
async function within(what, promise) {
  let giveUp
  const instead = new Promise((_resolve, reject) => {
    giveUp = setTimeout(() => reject(new Error(`waited ${DEADLINE_MS / 1000} s until ${what}`)), DEADLINE_MS)
    interrupt.signal.addEventListener('abort', () => reject(new Error('interrupted')), { once: true })
    if (interrupt.signal.aborted) reject(new Error('interrupted'))
  })
  try {
    return await Promise.race([promise, instead])
  } finally {
    clearTimeout(giveUp)
  }
}

function stopwatch() {
  const started = performance.now()
  const seconds = () => (performance.now() - started) / 1000
  return Object.assign(() => `${seconds().toFixed(1)} s`, { seconds })
}

function say(text) {
  process.stdout.write(`${text}\n`)
}

function title(text) {
  say(`\n${paint('bold', text)}`)
}

function command(text) {
  say(`  ${paint('cyan', `$ ${text}`)}`)
}

function fact(name, text) {
  say(`  ${paint('dim', name.padEnd(8))}  ${text}`)
}

function short(hash) {
  return `${hash.slice(0, 16)}…${hash.slice(-8)}`
}

function paint(style, text) {
  const isColourful = process.stdout.isTTY && !process.env.NO_COLOR
  return isColourful ? styleText(style, text) : text
}
