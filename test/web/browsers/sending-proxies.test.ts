import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bytesOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { startBehind } from '../../helpers/proxies.js'
import { runEss } from '../../helpers/run-ess.js'
import { openInChromium } from '../../helpers/send-page.js'
import { tempDir } from '../../helpers/temp-dir.js'

const LONG_MS = 60_000
const content = bytesOf(30_000_017)

/** Sends a file from the page at this address, and receives it at the link that the page shows. */
async function sendFrom(url: string): Promise<void> {
  const page = await openInChromium(url)
  const folder = await tempDir()
  await writeFile(join(folder, 'report.bin'), content)
  await page.chooseFiles([join(folder, 'report.bin')])
  await page.press('Send')
  const ess = await runEss(undefined, ['get', await page.link(), '-o', join(folder, 'received.bin')])
  const { code, stderr } = await ess.ended(LONG_MS)
  expect({ code, stderr }).toMatchObject({ code: 0 })
  expect((await readFile(join(folder, 'received.bin'))).equals(content)).toBe(true)
  await page.untilShows(/^(?:Delivered|Sent, but not confirmed)$/m, LONG_MS)
}

describe('a page sends', () => {
  test.for(['nginx', 'caddy', 'haproxy', 'apache2'] as const)('behind %s', async (name, context) => {
    needs(context, 'chromium', name)
    const { url } = await startBehind(name, { more: ['--resume-within', '120'] })
    await sendFrom(url)
  })

  test('behind an nginx that takes no body of more than 500 kB', async (context) => {
    needs(context, 'chromium', 'nginx')
    const { url } = await startBehind('nginx', {
      more: ['--resume-within', '120'],
      lines: { 'client_max_body_size 0;': 'client_max_body_size 500k;' },
    })
    await sendFrom(url)
  })
})
