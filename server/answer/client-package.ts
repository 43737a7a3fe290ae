import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { distFolder } from './dist-folder.js'
import type { Fields } from './head.js'

/** The package of the client for one server: what `npx https://…/ess.tgz` runs, and `npm i -g` installs. */
export interface ClientPackage {
  readonly headers: Fields
  /** Its bytes, in parts that go out one after the other. */
  readonly parts: readonly Buffer[]
}

/** What the build has made: the package that is the same for all servers, and the tar header of `server.json`. */
interface Built {
  readonly tgz: Buffer
  readonly header: Buffer
}

/** How much room a tar archive gives to a file of one block. */
const BLOCK_BYTES = 512

let built: Built | undefined | 'not read' = 'not read'

/**
 * True if this installation has the package. Nothing else has: a bundle that an embedder made of the library, or sources
 * that were never built.
 */
export function hasClientPackage(): boolean {
  return readBuilt() !== undefined
}

/**
 * The package for clients of the server at `base`. In it, `server.json` names that server, so that `ess` needs no
 * `--server`. Undefined if this installation has none.
 */
export function clientPackage(base: string): ClientPackage | undefined {
  const found = readBuilt()
  if (found === undefined) return undefined
  const parts = [...serverFile(base, found.header), found.tgz]
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return {
    parts,
    headers: {
      'Content-Type': 'application/gzip',
      'Content-Length': parts.reduce((sum, { length }) => sum + length, 0),
      // npm keeps what it has, and asks whether that is current.
      'Cache-Control': 'no-cache, no-transform',
      ETag: `"${hash.digest('base64url')}"`,
      'X-Content-Type-Options': 'nosniff',
    },
  }
}

/**
 * One more file at the beginning of the archive. A gzip file may have several members (RFC 1952, 2.2), so the rest needs
 * no packing again. Without room for such a long URL there is no such file, and `ess` wants a `--server`.
 */
function serverFile(base: string, header: Buffer): Buffer[] {
  const json = Buffer.from(`${JSON.stringify({ server: base })}\n`)
  if (json.length > BLOCK_BYTES) return []
  return [gzipSync(Buffer.concat([header, json, Buffer.alloc(BLOCK_BYTES - json.length, ' ')]))]
}

function readBuilt(): Built | undefined {
  if (built === 'not read') built = readFiles()
  return built
}

function readFiles(): Built | undefined {
  const folder = distFolder()
  if (folder === undefined) return undefined
  try {
    return {
      tgz: readFileSync(new URL('ess.tgz', folder)),
      header: readFileSync(new URL('ess/server.json.header', folder)),
    }
  } catch {
    // Not built.
    return undefined
  }
}
