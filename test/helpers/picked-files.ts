import type { Page } from 'playwright-core'

/*
 * Chromium's dialogs can't be driven without a window. Files of the page's own file system take the place of those that a
 * person picks: they are written by the same calls, and have the same swap files behind them. Scripts are text here,
 * because they run in the page, whose types this project does not have.
 */

/** The person picks what the page suggests. */
export async function pickAsSuggested(page: Page): Promise<void> {
  await page.addInitScript(`
    window.showSaveFilePicker = async ({ suggestedName }) =>
      (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true })
    window.showDirectoryPicker = async () =>
      (await navigator.storage.getDirectory()).getDirectoryHandle('picked', { create: true })
  `)
}

/** A browser without such dialogs: all but Chromium. */
export async function withoutPickers(page: Page): Promise<void> {
  await page.addInitScript('delete window.showSaveFilePicker; delete window.showDirectoryPicker')
}

/** All files that were written, by their paths: the SHA-256 of each. Folders end with a slash, and have none. */
export async function pickedFiles(page: Page): Promise<Record<string, string>> {
  const found: unknown = await page.evaluate(`(async () => {
    const found = {}
    const look = async (folder, path) => {
      for await (const [name, handle] of folder.entries()) {
        if (handle.kind === 'directory') {
          found[path + name + '/'] = ''
          await look(handle, path + name + '/')
          continue
        }
        const digest = await crypto.subtle.digest('SHA-256', await (await handle.getFile()).arrayBuffer())
        found[path + name] = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
      }
    }
    await look(await navigator.storage.getDirectory(), '')
    return found
  })()`)
  // What the script above gives.
  return found as Record<string, string>
}

/** Removes what pages before this one have written. */
export async function forgetPicked(page: Page): Promise<void> {
  await page.evaluate(`(async () => {
    const root = await navigator.storage.getDirectory()
    for await (const name of root.keys()) await root.removeEntry(name, { recursive: true })
  })()`)
}
