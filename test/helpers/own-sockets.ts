import { readdir, readFile, readlink } from 'node:fs/promises'

/** A socket of TCP or UDP. The ports are 0 where there is none. */
export interface OwnSocket {
  readonly protocol: 'tcp' | 'udp'
  readonly isListening: boolean
  /** True when the process has closed its own half first, and the peer has not closed its one yet. */
  readonly hasEnded: boolean
  readonly port: number
  readonly remotePort: number
}

// "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode", all but the last three in hex.
const LINE = /^\s*\d+: \w+:(\w{4}) \w+:(\w{4}) (\w\w) \S+ \S+ \S+\s+\d+\s+\d+ (\d+)/
const LISTENS = '0A'
/** FIN_WAIT1 and FIN_WAIT2. */
const ENDED = ['04', '05']

/** The sockets that a process has: those it listens by, and its connections. Linux only. */
export async function socketsOf(pid: number): Promise<OwnSocket[]> {
  const folder = `/proc/${pid}/fd`
  // A descriptor may be closed meanwhile.
  const targets = (await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => ''))
  const own = new Set(await Promise.all(targets))
  const tables = ['tcp', 'tcp6', 'udp', 'udp6'].map(async (name) => ({
    protocol: name.startsWith('tcp') ? ('tcp' as const) : ('udp' as const),
    // A machine may have no IPv6.
    text: await readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => ''),
  }))
  return (await Promise.all(tables)).flatMap(({ protocol, text }) =>
    text.split('\n').flatMap((line) => {
      const [, port = '', remotePort = '', state = '', inode] = LINE.exec(line) ?? []
      if (!own.has(`socket:[${inode}]`)) return []
      const isListening = protocol === 'tcp' && state === LISTENS
      return [
        {
          protocol,
          isListening,
          hasEnded: protocol === 'tcp' && ENDED.includes(state),
          port: Number.parseInt(port, 16),
          remotePort: Number.parseInt(remotePort, 16),
        },
      ]
    }),
  )
}
