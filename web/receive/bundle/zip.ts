import { makeZip } from 'client-zip'
import { foldedName } from '../../../shared/folded-name.js'
import type { Entry } from '../../../shared/tar-entry.js'
import { Batches } from '../batches.js'
import type { Done, Sink, Way } from '../save/sink.js'
import type { Standing } from './names.js'
import type { Target } from './target.js'

type Zipped =
  Extract<Parameters<typeof makeZip>[0], AsyncIterable<unknown>> extends AsyncIterable<infer One>
    ? One
    : never

/** One zip of all entries, made as they come, and saved as a file by `way`. */
export function toZip(way: Way, name: string): () => Promise<Target> {
  // Its size is known at its end.
  return async () => new ZipTarget(await way.open({ name, size: undefined, type: 'application/zip' }))
}

class ZipTarget implements Target {
  readonly #sink: Sink
  readonly #entries = new TransformStream<Zipped, Zipped>()
  readonly #adding = this.#entries.writable.getWriter()
  readonly #taken = new Set<string>()
  #content: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>> | undefined
  /** Settled when the zip is at its end, in the sink. */
  readonly #saving: Promise<void>

  constructor(sink: Sink) {
    this.#sink = sink
    this.#saving = this.#save()
    // Each call looks at it, and the first one after it has failed tells.
    this.#saving.catch(() => {})
  }

  look(_entry: Entry, names: readonly string[]): Promise<Standing> {
    // Where it is unpacked, two names may be one.
    const folded = foldedName(names.join('/'))
    if (this.#taken.has(folded)) return Promise.resolve('taken')
    this.#taken.add(folded)
    return Promise.resolve('free')
  }

  async begin({ kind, size, mtime, mode }: Entry, names: readonly string[]): Promise<void> {
    const lastModified = new Date(Math.max(mtime * 1000, EARLIEST_MS))
    const name = names.join('/')
    if (kind === 'folder') {
      await this.#add({ name: `${name}/`, lastModified, mode: FOLDER | mode })
      return
    }
    const content = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>()
    this.#content = content.writable.getWriter()
    await this.#add({ name, lastModified, size, mode: FILE | mode, input: content.readable })
  }

  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#orFailed(this.#content?.write(bytes))
  }

  async end(): Promise<void> {
    await this.#orFailed(this.#content?.close())
    this.#content = undefined
  }

  link(): Promise<boolean> {
    return Promise.resolve(false)
  }

  async close(): Promise<Done> {
    await this.#orFailed(this.#adding.close())
    await this.#saving
    return await this.#sink.close()
  }

  async abort(): Promise<void> {
    const reason = new Error('The bundle is not whole')
    // Both may have failed by themselves.
    void this.#content?.abort(reason).catch(() => {})
    void this.#adding.abort(reason).catch(() => {})
    await this.#sink.abort()
  }

  async #add(entry: Zipped): Promise<void> {
    await this.#orFailed(this.#adding.write(entry))
  }

  async #save(): Promise<void> {
    const batches = new Batches((batch) => this.#sink.write(batch))
    for await (const piece of valuesOf(makeZip(valuesOf(this.#entries.readable)))) await batches.push(piece)
    await batches.flush()
  }

  /** What fails in the zip fails the step that waits for it. */
  async #orFailed(step: Promise<void> | undefined): Promise<void> {
    // What has failed first is told.
    step?.catch(() => {})
    const failing = this.#saving.then(() => new Promise<never>(() => {}))
    await Promise.race([step, failing])
  }
}

/** Zips know no earlier time. */
const EARLIEST_MS = Date.UTC(1980, 0, 2)

/** The kind of a thing, as Unix has it in front of its permissions. */
const FILE = 0o100000
const FOLDER = 0o040000

/** Not every browser can iterate over a stream. */
async function* valuesOf<Value>(stream: ReadableStream<Value>): AsyncGenerator<Value, void> {
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield value
  }
}
