import { safeFileName } from './file-name.js'
import { quoteForShell } from './shell-word.js'

/**
 * The shell line that receives with curl. It doesn't use `-OJ`, which takes the name from the response: if such a
 * file exists, curl exits with 23 after the response has come, and the link is used up for nothing. `-o` overwrites
 * the file.
 *
 * It doesn't go on after a cut by itself, although many links allow that. With `-C -`, curl adds the rest to any file of
 * that name. Without it, `--retry` would be safe, but needs `--retry-all-errors`, which stops curl before 7.71 at once.
 *
 * `fileName` may come from a stranger. `fallback` is the name to use without one.
 */
export function curlLine(url: string, fileName: string | undefined, fallback: string): string {
  const name = safeFileName(fileName ?? fallback) ?? 'file'
  return `curl -fo ${quoteForShell(name)} ${quoteUrl(url)}`
}

/** Quotes a URL for a shell. Its own quotes mean the same when they are percent-encoded. */
export function quoteUrl(url: string): string {
  return quoteForShell(url.replaceAll("'", '%27'))
}
