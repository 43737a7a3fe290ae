/** The protocol: what both sides must agree on, and whoever writes another client. Plain data and pure functions. */
export * from './curl.js'
export * from './headers.js'
export { printable } from './hidden.js'
export * from './id.js'
export * from './problems.js'
export * from './routes.js'
export * from './status.js'
export * from './units.js'
