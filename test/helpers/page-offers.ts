import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { bytesOf } from './bytes.js'
import type { Program } from './run.js'
import { runEss } from './run-ess.js'
import type { SendPage } from './send-page.js'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js'
import { tempDir } from './temp-dir.js'

// A file that a page offers, and `ess` receives.

export const SIZE = 30_000_017
/** Slow enough to be met midway. */
export const SLOW: Parameters<TcpProxy['strike']>[0] = { kind: 'throttle', bytesPerSecond: 4_000_000 }
/** A transfer of that size at that speed, with pauses. */
export const LONG_MS = 60_000
export const NAME = 'report.bin'
export const content = bytesOf(SIZE)

export async function proxyTo(port: number, own?: number): Promise<TcpProxy> {
  const proxy = await startTcpProxy(port, own)
  onTestFinished(() => proxy.close())
  return proxy
}

export const at = ({ port }: { readonly port: number }) => `http://127.0.0.1:${port}`

export async function newFile(bytes: Buffer = content): Promise<string> {
  const path = join(await tempDir(), NAME)
  await writeFile(path, bytes)
  return path
}

/** Chooses a file and sends it. Gives the link, by this way. */
export async function offer(page: SendPage, path: string, by: { readonly port: number }): Promise<string> {
  await page.chooseFiles([path])
  await page.press('Send')
  const link = new URL(await page.link())
  link.port = String(by.port)
  return link.href
}

/** Receives with `ess`; `whole` expects the file. */
export async function receive(
  link: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Program & { whole(): Promise<void> }> {
  const cwd = await tempDir()
  const ess = await runEss(undefined, ['get', link, '-o', join(cwd, NAME)], { env })
  return {
    ...ess,
    whole: async () => {
      const { code, stderr } = await ess.ended(LONG_MS)
      expect({ code, stderr }).toMatchObject({ code: 0 })
      expect((await readFile(join(cwd, NAME))).equals(content)).toBe(true)
    },
  }
}
