import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { distFolder } from './dist-folder.js'

/** A page's script or style: its file, and the files that it imports at once. */
export interface AssetEntry {
  readonly file: string
  readonly needs: readonly string[]
}

/** The manifest that `scripts/web-assets.mjs` writes. */
interface Manifest {
  readonly entries: Readonly<Record<'send' | 'receive' | 'style', AssetEntry>>
  readonly files: Readonly<Record<string, { readonly isHashed: boolean }>>
}

/** A file as it goes out. */
export interface Asset {
  readonly body: Buffer
  readonly type: string
  /** Undefined for the file as it is. */
  readonly encoding: Encoding | undefined
  readonly tag: string
  /** True for a name that is made of the content: what it names never changes. */
  readonly isHashed: boolean
}

type Encoding = 'br' | 'gzip'

/** Their suffixes on the disk, the best first. */
const SUFFIXES: Readonly<Record<Encoding, string>> = { br: '.br', gzip: '.gz' }
// `Object.keys` forgets what the keys are.
const ENCODINGS = Object.keys(SUFFIXES) as Encoding[]

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
}

let manifest: Manifest | undefined | 'not read' = 'not read'

/** Each file is read when the first browser asks for it, and kept: all of them together are some 400 kB. */
const read = new Map<string, Asset | undefined>()

/** What a page has to name. Undefined if this installation has no pages: a bundle of the library, or bare sources. */
export function assetEntries(): Manifest['entries'] | undefined {
  return readManifest()?.entries
}

/** The style of all pages, as text. Undefined where `assetEntries` is. */
export function styleText(): string | undefined {
  const file = assetEntries()?.style.file
  return file === undefined ? undefined : assetOf(file, undefined)?.body.toString()
}

/** The file of this name, in the best coding that the client accepts. Undefined for a name that is none of ours. */
export function assetOf(name: string, acceptEncoding: string | undefined): Asset | undefined {
  const files = readManifest()?.files ?? {}
  const known = Object.hasOwn(files, name) ? files[name] : undefined
  if (known === undefined) return undefined
  const accepted = acceptedOf(acceptEncoding)
  const encoding = ENCODINGS.find((one) => accepted.has(one))
  const key = `${name}${encoding === undefined ? '' : SUFFIXES[encoding]}`
  if (!read.has(key)) read.set(key, readAsset(key, name, encoding, known.isHashed))
  return read.get(key)
}

/** The codings that a client takes (RFC 9110, 12.5.3). A weight of 0 refuses one. */
function acceptedOf(acceptEncoding = ''): ReadonlySet<string> {
  const items = acceptEncoding.toLowerCase().split(',')
  return new Set(
    items.flatMap((item) => {
      const [name = '', ...parameters] = item.split(';').map((part) => part.trim())
      return parameters.some((one) => /^q=0(?:\.0*)?$/.test(one)) ? [] : [name]
    }),
  )
}

function readAsset(
  path: string,
  name: string,
  encoding: Encoding | undefined,
  isHashed: boolean,
): Asset | undefined {
  const body = readBuilt(path)
  if (body === undefined) return undefined
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
  const tag = `"${createHash('sha256').update(body).digest('base64url')}"`
  return { body, type, encoding, tag, isHashed }
}

function readManifest(): Manifest | undefined {
  if (manifest === 'not read') {
    const text = readBuilt('manifest.json')
    // The same build has written it.
    manifest = text && (JSON.parse(text.toString()) as Manifest)
  }
  return manifest
}

function readBuilt(name: string): Buffer | undefined {
  const folder = distFolder()
  if (folder === undefined) return undefined
  try {
    return readFileSync(new URL(`web/${name}`, folder))
  } catch {
    // Not built, or built again since.
    return undefined
  }
}
