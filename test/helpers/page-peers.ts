import { link as hardLink, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { sha256OfFile, writeFileOf } from './bytes.js'
import { run } from './run.js'
import { runEss } from './run-ess.js'
import type { SendPage } from './send-page.js'
import { tempDir } from './temp-dir.js'

/*
 * The other side of a page that sends, and the folders that both sides compare.
 */

/** Takes what is behind a link with `ess`, into a new folder. */
export async function getByEss(link: string, ms?: number): Promise<string> {
  const cwd = await tempDir()
  const ess = await runEss(undefined, ['get', link, '-o', `${cwd}/`])
  const { code, stderr } = await ess.ended(ms)
  expect(stderr).not.toMatch(/error/i)
  expect(code).toBe(0)
  return cwd
}

/** What a line of the page has left. */
export interface Pasted {
  readonly folder: string
  readonly stdout: Buffer
}

/** Runs a line of the page in a shell, as a person pastes it, in a folder that has the key. */
export async function paste(line: string, link: string, ms?: number): Promise<Pasted> {
  const cwd = await tempDir()
  const [, key = ''] = link.split('#')
  await writeFile(join(cwd, 'key.txt'), `${key}\n`)
  const shell = await run(
    'bash',
    'bash',
    ['-o', 'pipefail', '-c', `curl() { command curl -sS "$@"; }; ${line}`],
    { cwd },
  )
  const { code, stdout, stderr } = await shell.ended(ms)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return { folder: cwd, stdout }
}

/** The page's line that has this word. */
export async function lineWith(page: SendPage, word: string): Promise<string> {
  await page.untilShows(/In a terminal/)
  const text = await page.lines()
  const line = text.find((one) => one.includes(word))
  expect(line, `a line with ${word} in ${text}`).toBeDefined()
  return line ?? ''
}

/** A folder, and the SHA-256 of each file in it. */
export interface MadeFolder {
  readonly path: string
  readonly hashes: Readonly<Record<string, string>>
}

export const FOLDER_NAME = 'Fotos 2026'

/** A folder with names to be careful with, an empty file, and an empty folder. */
export async function makeFolder(): Promise<MadeFolder> {
  const path = join(await tempDir(), FOLDER_NAME)
  await mkdir(join(path, 'leer'), { recursive: true })
  await mkdir(join(path, 'in', 'tief'), { recursive: true })
  const sizes = {
    'big.bin': 3_000_001,
    'in/.hidden': 70_000,
    'in/tief/ä ü.txt': 1,
    [`in/tief/${'ü'.repeat(70)}.txt`]: 513,
    nothing: 0,
  }
  const hashes: Record<string, string> = {}
  for (const [name, size] of Object.entries(sizes)) hashes[name] = await writeFileOf(join(path, name), size)
  return { path, hashes }
}

/** Adds a symbolic link to it, and a second name of a file. */
export async function addLinks({ path }: MadeFolder): Promise<void> {
  await symlink('big.bin', join(path, 'link'))
  await hardLink(join(path, 'big.bin'), join(path, 'twin.bin'))
}

/** The SHA-256 of all files in a folder, by their paths. */
export async function filesIn(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
  const pairs = files.map(async (path) => [path.slice(folder.length + 1), await sha256OfFile(path)] as const)
  return Object.fromEntries((await Promise.all(pairs)).sort())
}
