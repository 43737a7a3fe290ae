import { createHash, X509Certificate } from 'node:crypto'
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Certificate } from './certificate.js'
import { startChromium } from './chromium.js'
import { startFirefox } from './firefox.js'
import { forgetPicked, pickedFiles } from './picked-files.js'
import { openInTab as openLinkInTab, openWith as openLinkWith, type ReceivePage } from './receive-page.js'
import { openInTab, openWith, type SendPage } from './send-page.js'
import { tempDir } from './temp-dir.js'

/** How a page may save what it has received. */
export type SavingWay = 'picker' | 'storage' | 'memory'

export interface OpenedPage extends ReceivePage {
  /** What the person has picked a place for: the SHA-256 of each file, by its path. */
  picked(): Promise<Record<string, string>>
  /** The page's first download, whole, in the folder of a test. */
  downloaded(ms?: number): Promise<{ readonly name: string; readonly path: string }>
}

/** A browser that stays open, and shows one page after the other. */
export interface Browser {
  /** The ways that it has. */
  readonly ways: readonly SavingWay[]
  openToSend(url: string): Promise<SendPage>
  openToReceive(link: string, way: SavingWay): Promise<OpenedPage>
  /** The protocol by which the page came that is open. */
  protocol(): Promise<unknown>
}

const PROTOCOL = "performance.getEntriesByType('navigation')[0].nextHopProtocol"

/** By the names of their programs. Each trusts this certificate. */
export const BROWSERS = { chromium: startTrusting, 'firefox-esr': startTrustingAny } as const

/** The program of a browser. */
export type BrowserName = keyof typeof BROWSERS

async function startTrusting({ cert }: Certificate): Promise<Browser> {
  const { publicKey } = new X509Certificate(cert)
  const hash = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
  const browser = await startChromium(`--ignore-certificate-errors-spki-list=${hash}`)
  const last = () => browser.pages().at(-1)
  const only = async <Opened>(opened: Promise<Opened>): Promise<Opened> => {
    const before = browser.pages()
    const page = await opened
    for (const one of before) await one.close()
    return page
  }
  const savings = { picker: 'pickers', storage: 'no pickers', memory: 'memory alone' } as const
  return {
    ways: ['picker', 'storage', 'memory'],
    openToSend: (url) => only(openInTab(browser, url)),
    async openToReceive(link, way) {
      const page = await only(openLinkInTab(browser, link, savings[way]))
      await forgetPicked(page.page)
      return { ...withDownload(page), picked: () => pickedFiles(page.page) }
    },
    protocol: async () => await last()?.evaluate(PROTOCOL),
  }
}

async function startTrustingAny(): Promise<Browser> {
  const firefox = await startFirefox(await tempDir(), { acceptInsecureCerts: true })
  return {
    ways: ['storage', 'memory'],
    openToSend: (url) => openWith(firefox, url),
    async openToReceive(link, way) {
      await firefox.set('dom.fs.enabled', way === 'storage')
      return {
        ...withDownload(await openLinkWith(firefox, link)),
        picked: () => Promise.reject(new Error('Firefox has no pickers')),
      }
    },
    protocol: () => firefox.run(`return ${PROTOCOL}`),
  }
}

function withDownload(page: ReceivePage): Omit<OpenedPage, 'picked'> {
  return {
    ...page,
    async downloaded(ms) {
      const { isWhole, path = '', name = '' } = await page.download(ms)
      expect(isWhole).toBe(true)
      // The next one of this name is to get it, too.
      const moved = join(await tempDir(), 'downloaded')
      await copyFile(path, moved)
      await rm(path)
      return { name, path: moved }
    },
  }
}
