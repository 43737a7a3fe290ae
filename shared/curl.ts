import { safeFileName } from './file-name.js'

/**
 * The line for a shell that receives by curl. Not `-OJ`, which takes the name from the answer: where such a file exists,
 * curl ends with 23 after the answer has come, and the link is used up for nothing. `-o` writes over it.
 *
 * `fileName` may be a stranger's; `fallback` is the name where there is none.
 */
export function curlLine(url: string, fileName: string | undefined, fallback: string): string {
  const name = safeFileName(fileName ?? fallback) ?? 'file'
  return `curl -fo ${quoteForShell(name)} ${quoteUrl(url)}`
}

/** A URL in quotes, for a shell: its own quotes mean the same when they are percent-encoded. */
export function quoteUrl(url: string): string {
  return quoteForShell(url.replaceAll("'", '%27'))
}

/** One word for a shell such as sh, bash, zsh or fish, whatever stands in it. */
function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
