import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'

/**
 * All that is in a folder, by its path as bytes: kind, mode, content or target, and time of change. Two snapshots are equal if
 * nothing was made, changed or removed.
 */
export function snapshot(folder: string | Buffer): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  const walk = (path: Buffer, name: string) => {
    for (const child of readdirSync(path, { encoding: 'buffer' })) {
      const at = Buffer.concat([path, Buffer.from('/'), child])
      const key = `${name}${child.toString('latin1')}`
      const stat = lstatSync(at)
      found[key] = `${stat.mode.toString(8)} ${Math.round(stat.mtimeMs)} ${describe(at)}`
      if (stat.isDirectory()) walk(at, `${key}/`)
    }
  }
  walk(Buffer.from(folder as string), '')
  return found
}

function describe(path: Buffer): string {
  const stat = lstatSync(path)
  if (stat.isSymbolicLink()) return `-> ${readlinkSync(path, { encoding: 'buffer' }).toString('latin1')}`
  if (!stat.isFile()) return ''
  // Two names of one file are told from two files.
  return `${stat.size} ${createHash('sha256').update(readFileSync(path)).digest('hex')} ${stat.nlink}`
}
