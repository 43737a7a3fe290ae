import type { Done } from './sink.js'

/**
 * Gives the browser a file that is whole, which it puts among its downloads. The URL lives for as long as the page, so that
 * the person can save it again: no page is told whether that went well.
 */
export function handOver(file: Blob, name: string): Done {
  const url = URL.createObjectURL(file)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  return { way: 'downloads', url, name }
}
