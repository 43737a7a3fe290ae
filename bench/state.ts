import { readdirSync, readFileSync } from 'node:fs'

/** The states of a TCP connection as `/proc/net/tcp` numbers them, from 1 on. */
const STATES = [
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
] as const

/**
 * Where a process is stuck that left a load without an answer: what each of its threads waits in, and the connections
 * at its port, with those that hold bytes which it has not read or which its peer has not taken.
 */
export function describeStuck(pid: number, port: number): string {
  try {
    return `its threads: ${threadsOf(pid)}; at port ${port}: ${connectionsAt(port)}`
  } catch (error) {
    return `nothing more is known of it: ${String(error)}`
  }
}

function threadsOf(pid: number): string {
  return counted(
    readdirSync(`/proc/${pid}/task`).map((thread) => {
      const [name, state, place] = ['comm', 'stat', 'wchan'].map((file) =>
        readFileSync(`/proc/${pid}/task/${thread}/${file}`, 'utf8').trim(),
      )
      return `${name} ${state?.slice(state.lastIndexOf(')') + 2)[0]} in ${place === '0' ? 'no call' : place}`
    }),
  )
}

/** From the server's side: its own port is the local one. */
function connectionsAt(port: number): string {
  const [, ...lines] = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n')
  const own = lines.flatMap((line) => {
    const [, local = '', , state = '', queues = ''] = line.trim().split(/\s+/)
    if (Number.parseInt(local.split(':')[1] ?? '', 16) !== port) return []
    const [unsent = 0, unread = 0] = queues.split(':').map((each) => Number.parseInt(each, 16))
    const held = [...(unread > 0 ? ['bytes unread'] : []), ...(unsent > 0 ? ['bytes unsent'] : [])]
    const name = STATES[Number.parseInt(state, 16) - 1] ?? state
    return [held.length === 0 ? name : `${name} with ${held.join(' and ')}`]
  })
  return counted(own)
}

/** `['a', 'b', 'a']` as `2 a, 1 b`. */
function counted(words: readonly string[]): string {
  const times = new Map<string, number>()
  for (const each of words) times.set(each, (times.get(each) ?? 0) + 1)
  return [...times].map(([each, count]) => `${count} ${each}`).join(', ') || 'nothing'
}
