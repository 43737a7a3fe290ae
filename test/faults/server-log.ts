import type { TestServer } from '../helpers/start-server.js'
import { until } from '../helpers/within.js'

/** What a line of the log may say. */
interface Line {
  readonly msg?: string
  /** The hash of a socket's id. */
  readonly socket?: string
  readonly outcome?: string
  readonly confirmed?: boolean
}

/** What a server with `--log json` says of its sockets. */
export class ServerLog {
  readonly #server: TestServer
  readonly #begun: string[] = []
  readonly #ends: { readonly socket: string; readonly outcome: string }[] = []
  #read = 0
  #seen = 0
  #opening: Promise<unknown> = Promise.resolve()

  constructor(server: TestServer) {
    this.#server = server
  }

  /** The sockets that have begun, in order, by the hashes of their ids. */
  begun(): readonly string[] {
    this.#readOn()
    return this.#begun
  }

  /** All the ends so far. */
  ends(): readonly { readonly socket: string; readonly outcome: string }[] {
    this.#readOn()
    return this.#ends
  }

  /** How this socket ended; waits for it. */
  async endOf(socket: string, ms?: number): Promise<string> {
    const outcome = await until(
      `the socket ${socket} ends`,
      () => this.ends().find((candidate) => candidate.socket === socket)?.outcome,
      ms,
    )
    // What `until` gives is truthy.
    return outcome as string
  }

  /**
   * The socket that `open` begins: the log does not say whose it is, so one at a time is opened. Undefined where
   * `open` says that none will come.
   */
  begins(open: () => Promise<boolean>): Promise<string | undefined> {
    const opened = this.#opening.then(async () => {
      const before = this.begun().length
      if (!(await open())) return undefined
      return await until('the log tells of a new socket', () => this.begun()[before])
    })
    this.#opening = opened.catch(() => undefined)
    return opened
  }

  #readOn(): void {
    const text = this.#server.stderr()
    // Dozens of cells ask, and mostly there is nothing new.
    if (text.length === this.#seen) return
    this.#seen = text.length
    const end = text.lastIndexOf('\n') + 1
    const lines = text.slice(this.#read, end).split('\n')
    this.#read = end
    for (const line of lines.filter((candidate) => candidate.startsWith('{'))) {
      // Written by the server's own logger; each member is looked at before it is used.
      const { msg, socket, outcome, confirmed } = JSON.parse(line) as Line
      if (socket === undefined) continue
      const isNew = (msg === 'opened' || msg === 'reserved') && !this.#begun.includes(socket)
      if (isNew) this.#begun.push(socket)
      if (msg !== 'ended') continue
      const isDoubtful = outcome === 'delivered' && confirmed !== true
      this.#ends.push({ socket, outcome: isDoubtful ? 'delivered, unconfirmed' : String(outcome) })
    }
  }
}
