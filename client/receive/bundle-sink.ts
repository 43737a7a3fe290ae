import { mkdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Writable } from 'node:stream'
import { type BundleNote, EssError } from '../../shared/index.js'
import { unsafe } from '../../shared/tar-unsafe.js'
import { Journal, readJournal } from '../bundle/unpack/journal.js'
import { JOURNAL } from '../bundle/unpack/journal-name.js'
import { land } from '../bundle/unpack/land.js'
import { landingsFor } from '../bundle/unpack/landings.js'
import { removeTree } from '../bundle/unpack/remove-tree.js'
import { beginAnew, resume } from '../bundle/unpack/resume.js'
import { Unpacking } from '../bundle/unpack/unpacking.js'
import { unwritable } from '../files/unwritable.js'
import type { BundleTarget } from './bundle-target.js'
import { PULSE_MS } from './live-part.js'
import type { Offer } from './offer.js'
import type { PartTerms } from './part-file.js'
import { openPartFolder } from './part-folder.js'
import { keptAside, type Sink } from './sink.js'

/** In the part: what was unpacked, and what `force` replaces until all is in its place. */
const FILES = 'files'
const REPLACED = 'replaced'
/** The paths of all entries are kept in memory. */
const MAX_ENTRIES = 4_000_000
/** After so many bytes, others get a turn. */
const TURN_BYTES = 256 * 1024

/** Opens a sink that unpacks a bundle. Throws EssError `file-exists` or `file-unwritable`. */
export async function openBundleSink(
  target: BundleTarget,
  offer: Pick<Offer, 'size'> & { readonly bundle: BundleNote },
  force: boolean,
  terms: PartTerms,
): Promise<Sink> {
  if (offer.bundle.entries > MAX_ENTRIES) throw unsafe(`it has more than ${MAX_ENTRIES} entries`)
  const part = await openPartFolder(target.path, target.path, terms)
  try {
    return await sinkOf(part.path, part.isNew, target, offer, force, terms)
  } catch (error) {
    if (part.isNew) await removeTree(part.path).catch(() => {}) // The first error says more.
    throw error instanceof EssError ? error : unwritable(target.path, error)
  }
}

async function sinkOf(
  part: string,
  isNew: boolean,
  target: BundleTarget,
  { size, bundle }: Pick<Offer, 'size'> & { readonly bundle: BundleNote },
  force: boolean,
  { isFresh }: PartTerms,
): Promise<Sink> {
  const files = join(part, FILES)
  const subject = { size, entries: bundle.entries }
  const noted = (isNew || isFresh ? undefined : await readJournal(part, subject)) ?? []
  const resumed = await resume(files, noted, bundle)
  if (resumed === undefined) {
    if (!isNew) await removeTree(files)
    mkdirSync(files)
  }
  const journal = await Journal.begin(part, subject, resumed === undefined ? [] : noted)
  const { start, ...rest } = resumed ?? beginAnew(bundle)
  const unpacking = new Unpacking(files, journal, size, { start, ...rest })
  const pulse = setInterval(() => journal.touch(), PULSE_MS)
  pulse.unref()
  let landed: string | undefined
  let names: readonly string[] | undefined
  let isKept = false
  const { writable, closed } = writableTo(unpacking, () => {
    if (target.isInFolder) landingsFor(unpacking.tree, files, target)
  })

  async function close(): Promise<void> {
    clearInterval(pulse)
    writable.on('error', () => {}).destroy() // It is of no use any more.
    await closed
    journal.close()
  }
  async function remove(): Promise<void> {
    await close()
    // Another run may have taken it meanwhile.
    if (journal.isOurs()) await removeTree(part).catch(() => {}) // A folder may accept files but not their removal.
  }
  return {
    writable,
    ends: true,
    begun: isNew ? undefined : start.offset,
    get path() {
      return landed ?? target.path
    },
    get names() {
      return names
    },
    async commit() {
      await close()
      journal.expectOurs()
      try {
        await unpacking.complete(`All else is in ${files}.`)
      } catch (error) {
        if (!(error instanceof EssError) || error.code === 'unsafe-bundle') throw error
        // Such as on Windows, where not everyone may make links.
        rmSync(join(part, JOURNAL), { force: true })
        return error
      }
      try {
        // From here on it is whole, and no part that a run could go on with.
        rmSync(join(part, JOURNAL))
        mkdirSync(join(part, REPLACED))
        const { landings, path } = landingsFor(unpacking.tree, files, target)
        await land(landings, force, join(part, REPLACED))
        landed = path
        names = landings.map(({ to }) => basename(to.toString()))
      } catch (error) {
        for (const own of [JOURNAL, REPLACED]) rmSync(join(part, own), { recursive: true, force: true })
        return keptAside(files, target.path, error)
      }
      await removeTree(part).catch(() => {}) // What stays is no reason to fail the download.
      return undefined
    },
    async keep() {
      isKept = journal.isOurs() && unpacking.tree.tops.length > 0
      return isKept ? part : undefined
    },
    discard: (isOver) => (isKept || (start.offset > 0 && !isOver) ? close() : remove()),
  }
}

/** A writable that hands on its bytes, one piece at a time. */
function writableTo(unpacking: Unpacking, end: () => void): { writable: Writable; closed: Promise<void> } {
  let working: Promise<void> = Promise.resolve()
  let sinceTurn = 0
  const writable = new Writable({
    highWaterMark: 1024 * 1024,
    write(chunk: Buffer, _encoding, done) {
      working = unpacking.take(chunk)
      sinceTurn += chunk.length
      if (sinceTurn < TURN_BYTES) working.then(() => done(), done)
      else {
        sinceTurn = 0
        // Small files are written without a wait, and a timer or a signal must not wait for thousands of them.
        working.then(() => setImmediate(done), done)
      }
    },
    final(done) {
      try {
        unpacking.end()
        end()
        done()
      } catch (error) {
        done(error as Error) // We throw nothing else.
      }
    },
    destroy(error, done) {
      // A file must not be closed while it is being written.
      void working
        .catch(() => {}) // It was told where it was made.
        .then(() => unpacking.close())
        .catch(() => {}) // What was written to that file is of no use.
        .then(() => done(error))
    },
  })
  return { writable, closed: new Promise((resolve) => writable.once('close', resolve)) }
}
