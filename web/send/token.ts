const KEY = 'ess-send-token'

/** The token that was typed in this tab. A browser may refuse to keep anything. */
export function keptToken(): string {
  try {
    return sessionStorage.getItem(KEY) ?? ''
  } catch {
    // It is typed again.
    return ''
  }
}

/** Keeps a token until this tab is closed; an empty one is forgotten. */
export function keepToken(token: string): void {
  try {
    if (token === '') sessionStorage.removeItem(KEY)
    else sessionStorage.setItem(KEY, token)
  } catch {
    // It is typed again.
  }
}
