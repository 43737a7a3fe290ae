/** Puts a text on the clipboard. Resolves with false where the browser doesn't let us. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Over plain HTTP to another machine there is no clipboard to write to, but there is the old way.
    return copySelected(text)
  }
}

function copySelected(text: string): boolean {
  const active = document.activeElement
  const field = document.createElement('textarea')
  field.value = text
  field.readOnly = true
  field.className = 'unseen'
  document.body.append(field)
  field.select()
  // Deprecated, and the only one that works without a secure context.
  const isCopied = document.execCommand('copy')
  field.remove()
  if (active instanceof HTMLElement) active.focus()
  return isCopied
}
