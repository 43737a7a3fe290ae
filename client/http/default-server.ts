/** Where `ess-server` listens by default. */
export const DEFAULT_SERVER = 'http://127.0.0.1:9000'
