import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'

/** A finding that keeps people out. */
interface Finding {
  readonly id: string
  readonly impact: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[]
}

let source: Promise<string> | undefined

/** What axe-core calls serious or critical in a page as it is now, each as a line. `rules` are some of its own; default: all. */
export async function seriousFindings(page: Page, rules?: readonly string[]): Promise<string[]> {
  source ??= readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
  // By the debugger, to which the page's policy does not apply.
  if (!(await page.evaluate("typeof axe === 'object'"))) await page.evaluate(await source)
  const options = { resultTypes: ['violations'], ...(rules !== undefined && { runOnly: rules }) }
  const found: unknown = await page.evaluate(
    `axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => violations)`,
  )
  // What axe-core's documentation says.
  const findings = found as readonly Finding[]
  return findings
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`))
}
