import { appendFileSync } from 'node:fs'
import { join } from 'node:path'

/** Names the folder in which a run of the suite collects what servers logged, and what they must not have. */
export const SUITE_LOGS = 'SUITE_LOGS'

/** The file with the ids and tokens of a run, one a line. */
export const SECRETS_FILE = 'secrets'

/** What is kept of one server's log: more is a test's load, and says the same again. */
const MAX_LOG_CHARACTERS = 8 * 1024 * 1024

/** Shorter ones are words, such as the ids of a generator that a test makes up. */
const MIN_SECRET_CHARACTERS = 10

/** Where a secret shows in what peers read and write: status events, reservations, links, and what a request is let in by. */
const SECRETS = [
  /"id":"([^"]+)"/g,
  /\/uploads\/([\w-]+)/g,
  // An id of a cluster has three characters more, and the link of what is encrypted its key.
  /^https?:\/\/[^/\s]+\/([\w-]{12}(?:\w{3})?)(?=[/#\s]|$)/gm,
  /^location: \S*?\/([\w-]{12})(?=\/|\s|$)/gim,
  /\bauthorization: (?:bearer|basic) (\S+)/gi,
  /^(?:GET|PUT|POST) \/([\w-]{12})(?=[/? ])/gm,
]

/** Keeps what a server logged; at the end of the run no secret may stand in it. */
export function recordLog(log: string): void {
  append('log', log.slice(0, MAX_LOG_CHARACTERS))
}

/** Keeps every id and token that `text`, which a peer read or wrote, shows. */
export function recordSecretsIn(text: string): void {
  recordSecrets(SECRETS.flatMap((pattern) => [...text.matchAll(pattern)].map(([, secret = '']) => secret)))
}

/** Keeps ids and tokens. */
export function recordSecrets(secrets: readonly string[]): void {
  const long = secrets.filter((secret) => secret.length >= MIN_SECRET_CHARACTERS)
  if (long.length > 0) append(SECRETS_FILE, long.join('\n'))
}

/** The `secrets` that stand in `log`, each with the line that shows it. */
export function findSecrets(log: string, secrets: ReadonlySet<string>): string[] {
  const lengths = [...new Set([...secrets].map(({ length }) => length))]
  const found: string[] = []
  // Logs of a suite are long and say little: a run of characters that was looked at is not looked at again.
  const seen = new Set<string>()
  for (const line of log.split('\n')) {
    for (const [run] of line.matchAll(/[\w.~%+/=-]+/g)) {
      if (seen.has(run)) continue
      seen.add(run)
      const secret = secretIn(run, secrets, lengths)
      if (secret !== undefined) found.push(`${secret} in: ${line}`)
    }
  }
  return found
}

function secretIn(run: string, secrets: ReadonlySet<string>, lengths: readonly number[]): string | undefined {
  for (const length of lengths) {
    for (let from = 0; from + length <= run.length; from++) {
      const part = run.slice(from, from + length)
      if (secrets.has(part)) return part
    }
  }
  return undefined
}

/** Tests run in several processes: each has files of its own. */
function append(name: string, text: string): void {
  const folder = process.env[SUITE_LOGS]
  // Unset where a helper runs outside of the suite.
  if (folder !== undefined) appendFileSync(join(folder, `${name}.${process.pid}`), `${text}\n`)
}
