import { expect, test } from 'vitest'
import { BROWSERS, type BrowserName } from '../../helpers/browsers.js'
import { trustedCertificate } from '../../helpers/certificate.js'
import { needs } from '../../helpers/needs.js'
import { FRONTS, type FrontName, startFront } from '../../helpers/page-fronts.js'
import {
  ALL_FROM_PAGE,
  allToPage,
  inCell,
  receiveInPage,
  sendFromPage,
  shareOf,
} from '../../helpers/page-table.js'

const NAMES = Object.keys(FRONTS) as FrontName[]
const PROGRAMS = Object.keys(BROWSERS) as BrowserName[]
const ALL_MS = 180_000

/** Each browser does a half of the table, a part of it by each front. `fronts-whole.test.ts` does all of it by each. */
test.for(PROGRAMS)(
  '%s sends and receives over HTTP/2, and behind nginx, Caddy and haproxy',
  { timeout: ALL_MS },
  async (program, context) => {
    needs(context, program, 'nginx', 'caddy', 'haproxy', 'openssl', 'age', 'curl', 'unzip')
    const pair = await trustedCertificate()
    const browser = await BROWSERS[program](pair)
    const shares = NAMES.length * PROGRAMS.length
    for (const [at, name] of NAMES.entries()) {
      const front = await startFront(name, pair)
      const share = at * PROGRAMS.length + PROGRAMS.indexOf(program)
      for (const cell of shareOf(ALL_FROM_PAGE, share, shares))
        await inCell(name, cell, () => sendFromPage(browser, front, cell))
      expect(await browser.protocol(), name).toBe(FRONTS[name].protocol)
      for (const cell of shareOf(allToPage(browser.ways), share, shares))
        await inCell(name, cell, () => receiveInPage(browser, front, cell))
    }
  },
)
