import type { Trouble } from '../locator/locator.js'
import { codeOf } from '../node/errno-words.js'

/** What to do about Redis, where its own words or the system's name the cause. The first one that fits counts. */
const ADVICE: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [/^NOAUTH/, 'Give --cluster-password-file.'],
  [/^WRONGPASS/, 'Its password is another one: check --cluster-password-file, and the user in --cluster.'],
  [/^NOPERM/, 'Its user may not do all that a node needs: give it the permissions of docs/operating.md.'],
  [/^READONLY/, 'It is a replica: name the primary in --cluster.'],
  [/^LOADING/, 'It reads its own data first: the node joins by itself after that.'],
  [
    /wrong version number|packet length too long|before secure TLS/i,
    'It does not speak TLS at this port: say redis:// in --cluster, or name its TLS port.',
  ],
  [
    /certificate|altnames/i,
    'Its certificate is not trusted: check the host in --cluster, and NODE_EXTRA_CA_CERTS.',
  ],
  [
    /^Socket closed unexpectedly/,
    'See whether it runs. If it never answered, its port may be one for TLS: that needs rediss:// in --cluster.',
  ],
]

/** What to do where the cause says no more. */
const USUAL_ADVICE = {
  away: 'Check --cluster (host, port, and rediss:// only where Redis speaks TLS), and that Redis runs and this machine reaches it.',
  refuses: 'See what its log says, and the permissions of docs/operating.md.',
  full: 'Raise its maxmemory.',
  slow: 'Check its load, and the network between.',
} as const satisfies Record<Trouble, string>

/** What the log says when Redis gets into trouble: where it is, what is wrong, and what to do. Never with a password. */
export function redisTrouble(url: string, trouble: Trouble, cause: Error | undefined): string {
  const what = wordsOf(cause)
  const [, advice = USUAL_ADVICE[trouble]] = ADVICE.find(([pattern]) => pattern.test(what)) ?? []
  return `Redis at ${hostPortOf(url)} is in trouble (${trouble}): ${what.replace(/\.?$/, '.')} ${advice}`
}

function hostPortOf(url: string): string {
  const { hostname, port } = new URL(url)
  return `${hostname}:${port || '6379'}`
}

/** A name with several addresses fails with an error that has no words of its own, only a code. */
function wordsOf(cause: Error | undefined): string {
  // Redis says it to programs: "HELLO must be called with the client already authenticated, otherwise …".
  if (cause?.message.startsWith('NOAUTH')) return 'NOAUTH, it was given no password'
  return cause?.message || codeOf(cause) || 'no reason was given'
}
