import type { Duplex } from 'node:stream'

/**
 * Messages between a worker and its parent, each a line of JSON. They don't go by `process.send`, where a message waits
 * for every connection ahead of it to be taken: they'd come late just when many connections come.
 */
export class Channel<Out, In> {
  readonly #stream: Duplex
  #waiting: string[] = []
  #flush: NodeJS.Immediate | undefined

  /** `read` turns a line into a message, and throws for anything else, which ends the process like any bug. */
  constructor(stream: Duplex, read: (line: string) => In, receive: (message: In) => void) {
    this.#stream = stream
    let rest = ''
    stream
      .setEncoding('utf8')
      .on('data', (text: string) => {
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) receive(read(line))
      })
      // The other process has died, which its own end tells.
      .on('error', () => undefined)
  }

  /** Sends a message before this returns, and those ahead of it: nothing that happens later can be seen before it. */
  now(message: Out): void {
    this.#waiting.push(JSON.stringify(message))
    this.flush()
  }

  /** Sends a message with the others of this turn. */
  soon(message: Out): void {
    this.#waiting.push(JSON.stringify(message))
    this.#flush ??= setImmediate(() => this.flush())
  }

  flush(): void {
    clearImmediate(this.#flush)
    this.#flush = undefined
    if (this.#waiting.length === 0) return
    const lines = `${this.#waiting.join('\n')}\n`
    this.#waiting = []
    if (this.#stream.writable) this.#stream.write(lines)
  }

  /** Calls back once the other process is gone. */
  onEnd(listener: () => void): void {
    this.#stream.once('close', listener)
  }
}
