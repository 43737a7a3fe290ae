/**
 * Tells the server that this page is closed, and does nothing more of what it was doing. Of all requests that a page may
 * make at its end, this is the only one that every browser brings out: Firefox drops half of those by fetch, `keepalive`
 * or not.
 */
export function sayLastWord(closed: URL): void {
  navigator.sendBeacon(closed)
}
