import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))

/** Starts the built `ess-server` on a free port, without a log; resolves when it listens. */
export async function startServer(...args) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('ESS_'))
  const child = spawn(process.execPath, [MAIN, '--port', '0', '--log', 'off', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: Object.fromEntries(inherited),
  })
  const ended = once(child, 'close')
  let printed = ''
  const port = await new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      printed += text
      const [, found] = /^listening on \S+:(\d+)/.exec(printed) ?? []
      if (found !== undefined) resolve(Number(found))
    })
    void ended.then(() => reject(new Error('ess-server ended before it listened')))
  })
  return {
    port,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}
