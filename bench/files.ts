import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { appendFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { MIB } from './scenario.js'

/** A file of random bytes in `folder`: the same one whenever this size is asked for. */
export async function makeFile(folder: string, bytes: number): Promise<string> {
  const file = join(folder, `file-${bytes}`)
  if (existsSync(file)) return file
  const unfinished = `${file}.unfinished`
  writeFileSync(unfinished, '')
  for (let made = 0; made < bytes; made += MIB)
    await appendFile(unfinished, randomBytes(Math.min(MIB, bytes - made)))
  renameSync(unfinished, file)
  return file
}

/** A folder of `count` files of random bytes in `folder`: the same one whenever it is asked for. */
export function makeFolder(folder: string, count: number, bytes: number): string {
  const made = join(folder, `folder-${count}`)
  if (existsSync(made)) return made
  const unfinished = `${made}.unfinished`
  mkdirSync(unfinished)
  for (let at = 0; at < count; at++) writeFileSync(join(unfinished, `${at}.bin`), randomBytes(bytes))
  renameSync(unfinished, made)
  return made
}

/** An empty folder at this path, whatever was there. */
export function emptyFolder(path: string): string {
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path)
  return path
}

/** The SHA-256 of a file. */
export async function digest(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file, { highWaterMark: MIB }), hash)
  return hash.digest('hex')
}

/** A SHA-256 over every file in a folder of files, and its name. */
export async function folderDigest(folder: string): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(folder)).sort())
    hash.update(
      `${name}\n${createHash('sha256')
        .update(await readFile(join(folder, name)))
        .digest('hex')}\n`,
    )
  return hash.digest('hex')
}
