import { describe, test } from 'vitest'
import { BROWSERS, type BrowserName } from '../../helpers/browsers.js'
import { trustedCertificate } from '../../helpers/certificate.js'
import { needs } from '../../helpers/needs.js'
import { FRONTS, type FrontName, startFront } from '../../helpers/page-fronts.js'
import { ALL_FROM_PAGE, allToPage, inCell, receiveInPage, sendFromPage } from '../../helpers/page-table.js'

const TABLE_MS = 300_000
const LARGE = 300_000_000
/** Two or three files. */
const LARGE_MS = 900_000

describe.each(Object.keys(FRONTS) as FrontName[])('by %s', (name) => {
  describe.each(Object.keys(BROWSERS) as BrowserName[])('%s', (program) => {
    async function open() {
      const pair = await trustedCertificate()
      return { front: await startFront(name, pair), browser: await BROWSERS[program](pair) }
    }

    test('sends and receives all that there is', { timeout: TABLE_MS }, async (context) => {
      needs(context, program, ...programsOf(name), 'openssl', 'age', 'curl', 'unzip')
      const { front, browser } = await open()
      for (const cell of ALL_FROM_PAGE) await inCell(name, cell, () => sendFromPage(browser, front, cell))
      for (const cell of allToPage(browser.ways))
        await inCell(name, cell, () => receiveInPage(browser, front, cell))
    })

    test('sends and receives 300 MB, sealed', { timeout: LARGE_MS }, async (context) => {
      needs(context, program, ...programsOf(name), 'openssl')
      const { front, browser } = await open()
      const large = { thing: 'a file', isSealed: true, size: LARGE } as const
      const sent = { ...large, to: 'ess' } as const
      await inCell(name, sent, () => sendFromPage(browser, front, sent))
      for (const way of browser.ways.filter((one) => one !== 'memory')) {
        const received = { ...large, from: 'ess', way } as const
        await inCell(name, received, () => receiveInPage(browser, front, received))
      }
    })
  })
})

function programsOf(name: FrontName): readonly string[] {
  const front = FRONTS[name]
  return 'proxy' in front ? [front.proxy] : []
}
