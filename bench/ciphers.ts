/** The scripts of `peers/` that seal and open bytes without a transfer, by the name under which each is measured. */
export const CIPHERS: Readonly<Record<string, string>> = {
  // The floor: what OpenSSL takes for the same bytes in the same records.
  'node:crypto': 'peers/node-crypto.js',
  // age's own library, by web streams.
  typage: 'peers/typage.js',
}

/** What such a script prints, as JSON. */
export interface CipherReport {
  readonly seal: CipherCost
  readonly open: CipherCost
}

/** For all of the bytes, after a warm-up. */
export interface CipherCost {
  readonly seconds: number
  readonly cpuSeconds: number
}
