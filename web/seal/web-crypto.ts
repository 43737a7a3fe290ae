/*
 * Over plain HTTP to another machine, a browser has no `crypto.subtle`. typage falls back to JavaScript where a browser says
 * that it doesn't support X25519, and not where there is nothing to ask. Import this before anything of typage runs.
 */
if (globalThis.crypto.subtle === undefined) {
  const importKey = () => Promise.reject(new DOMException('There is no Web Crypto', 'NotSupportedError'))
  Object.defineProperty(globalThis.crypto, 'subtle', { value: { importKey } })
}
