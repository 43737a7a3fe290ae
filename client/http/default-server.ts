/** Where an `ess-server` listens unless it is told otherwise. */
export const DEFAULT_SERVER = 'http://127.0.0.1:9000'
