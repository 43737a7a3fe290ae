/** Quotes any text as one word for sh, bash, zsh or fish. */
export function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
