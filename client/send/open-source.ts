import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { EssError } from '../../shared/index.js'
import { kindOf } from '../../shared/option-names.js'
import type { SendOptions } from './send-options.js'
import { fromStream, openFile, type Source } from './source.js'

/** What can be sent: a path, several paths as one bundle, a stream, or an open source. */
export type Sendable = string | readonly (string | Buffer)[] | Readable | Source

/**
 * Opens what is to be sent, without reading it. A folder and an array become a bundle. Throws EssError `file-unreadable`, or
 * `usage` for what can't be sent.
 */
export async function openSource(from: Sendable, options: SendOptions): Promise<Source> {
  if (typeof from === 'string')
    return (await isFolder(from)) ? await openBundle([from], options) : await openFile(from)
  if (isList(from)) return await openBundle(from, options)
  if (from instanceof Readable) return fromStream(from)
  if (isSource(from)) return from
  const wanted = 'a path, an array of paths, a Readable, or what openFile() or fromStream() returns'
  throw new EssError('usage', `send() takes ${wanted}, not ${kindOf(from)}.`)
}

async function openBundle(paths: readonly (string | Buffer)[], options: SendOptions): Promise<Source> {
  // The tar library is loaded for bundles alone.
  const { bundleSource } = await import('../bundle/pack/bundle-source.js')
  return await bundleSource(paths, options)
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (stats) => stats.isDirectory(),
    // Opening it will report the trouble.
    () => false,
  )
}

/** TypeScript's own check loses `readonly`. */
function isList(from: Sendable): from is readonly (string | Buffer)[] {
  if (!Array.isArray(from)) return false
  const wrong = from.find((path) => typeof path !== 'string' && !Buffer.isBuffer(path))
  if (wrong === undefined) return true
  throw new EssError(
    'usage',
    `send() takes an array of paths, each a string or a Buffer, not ${kindOf(wrong)}.`,
  )
}

/** A caller without types may pass anything; only a source has `read` and `close`. */
function isSource(from: unknown): from is Source {
  return typeof from === 'object' && from !== null && 'read' in from && 'close' in from
}
