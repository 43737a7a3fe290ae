import { expect } from 'vitest'
import { type BundleOptions, bundleSource } from '../../client/bundle/pack/bundle-source.js'
import type { Source } from '../../client/ends/source.js'
import { run } from './run.js'
import { tempDir } from './temp-dir.js'

/** The bytes of a source from this offset on. */
export async function bytesFrom(source: Source, offset = 0): Promise<Buffer> {
  const blocks: Buffer[] = []
  // A block's memory is used again.
  for await (const block of source.read(offset)) blocks.push(Buffer.from(block))
  return Buffer.concat(blocks)
}

/** The whole tar of these paths. */
export async function tarOf(
  paths: readonly (string | Buffer)[],
  options?: BundleOptions,
): Promise<{ bytes: Buffer; source: Source }> {
  const source = await bundleSource(paths, options)
  const bytes = await bytesFrom(source)
  await source.close()
  expect(bytes.length).toBe(source.size)
  return { bytes, source }
}

/** Programs that read a tar from a pipe. */
export const TARS = {
  'GNU tar': ['tar', '-xp', '--warning=no-timestamp'],
  bsdtar: ['bsdtar', '-xp', '-f', '-'],
  busybox: ['busybox', 'tar', '-xp'],
} as const

/** Unpacks a tar with such a program, which must have nothing to say. Resolves with the folder. */
export async function unpacked(bytes: Buffer, tar: keyof typeof TARS): Promise<string> {
  const cwd = await tempDir()
  const [program, ...args] = TARS[tar]
  const unpacking = await run(tar, program, args, { cwd, stdin: bytes, env: { LC_ALL: 'C.UTF-8' } })
  const { code, stderr } = await unpacking.ended()
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return cwd
}

/** The paths in a tar, in their order. */
export async function listed(bytes: Buffer): Promise<string[]> {
  const args = ['-t', '--quoting-style=literal', '--show-transformed-names']
  const listing = await run('tar t', 'tar', args, { stdin: bytes, env: { LC_ALL: 'C.UTF-8' } })
  const { stdout, stderr } = await listing.ended()
  expect(stderr).toBe('')
  return stdout.toString().split('\n').slice(0, -1)
}
