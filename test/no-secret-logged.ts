import { mkdtempSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findSecrets, SECRETS_FILE, SUITE_LOGS } from './helpers/suite-logs.js'

/**
 * Vitest's global setup: nothing that any server of the suite logged may show an id or a token of any test. Each
 * project of a run calls it; the first has the folder and the last word.
 */
export function setup(): (() => Promise<void>) | undefined {
  if (process.env[SUITE_LOGS] !== undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'ess-suite-logs-'))
  process.env[SUITE_LOGS] = folder
  return async () => {
    delete process.env[SUITE_LOGS]
    try {
      await expectNoSecretLogged(folder)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

async function expectNoSecretLogged(folder: string): Promise<void> {
  const names = await readdir(folder)
  const read = async (prefix: string) =>
    await Promise.all(
      names.filter((name) => name.startsWith(prefix)).map((name) => readFile(join(folder, name), 'utf8')),
    )
  const secrets = new Set((await read(SECRETS_FILE)).flatMap((text) => text.split('\n').filter(Boolean)))
  const logs = await read('log')
  const found = logs.flatMap((log) => findSecrets(log, secrets))
  const lines = logs.reduce((sum, log) => sum + log.split('\n').length, 0)
  process.stdout.write(`${lines} lines of logs were searched for ${secrets.size} ids and tokens\n`)
  if (found.length === 0) return
  // What is thrown here vitest only prints.
  process.exitCode = 1
  throw new Error(`${found.length} lines of logs show a secret:\n${found.slice(0, 10).join('\n')}`)
}
