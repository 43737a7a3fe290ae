import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { seriousFindings } from './axe.js'

/** With this variable, each state that is looked at is also photographed, into that folder. */
const FOLDER = process.env['ESS_SCREENSHOTS']

/** A small phone, a phone, a tablet, a desktop. */
const NARROW = { width: 320, height: 640 }
const SIZES = [
  { width: 360, height: 740 },
  { width: 768, height: 1024 },
  { width: 1440, height: 900 },
]
const SCHEMES = ['light', 'dark'] as const
/** All rules once, and again what depends on colours. */
const RULES = { light: undefined, dark: ['color-contrast', 'link-in-text-block'] }

/** What a finger has to hit (WCAG 2.5.5), in CSS pixels. Links in a sentence may be smaller. */
const TARGET_PX = 44

/** Looks at a page in one of its states: can everyone use it, in light and in dark, at 320 px and wider? */
export async function look(page: Page, state: string): Promise<void> {
  await page.setViewportSize(NARROW)
  expect(await page.evaluate(TOO_WIDE), `${state}: is wider than ${NARROW.width} px`).toEqual([])
  expect(await page.evaluate(TOO_SMALL), `${state}: is less than ${TARGET_PX} px high`).toEqual([])
  expect(await page.evaluate('document.title'), `${state}: has a title`).not.toBe('')
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    expect(await seriousFindings(page, RULES[colorScheme]), `${state}, ${colorScheme}`).toEqual([])
    if (FOLDER === undefined) continue
    for (const size of SIZES) {
      await page.setViewportSize(size)
      await page.screenshot(photo(`${state} ${size.width} ${colorScheme}`))
    }
    await page.setViewportSize(NARROW)
  }
}

/** Where a photograph of a whole page goes: to the folder, or nowhere. */
export function photo(name: string): { readonly path?: string; readonly fullPage: true } {
  if (FOLDER === undefined) return { fullPage: true }
  return { path: join(FOLDER, `${name.replaceAll(/\W+/g, '-')}.png`), fullPage: true }
}

/** The elements that make the page scroll sideways. */
const TOO_WIDE = `document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
  .filter((one) => one.getBoundingClientRect().right > innerWidth)
  .map((one) => one.outerHTML.slice(0, 200))`

/** What can be pressed or filled in, and is too small for a finger. A field in a label is as large as the label. */
const TOO_SMALL = `[...document.querySelectorAll('button, .button, summary, input, textarea')]
  .map((one) => one.closest('label') ?? one)
  .filter((one) => one.checkVisibility() && Math.min(one.offsetHeight, one.offsetWidth) < ${TARGET_PX})
  .map((one) => one.outerHTML.slice(0, 200))`
