import { codeOf } from '../node/errno-words.js'

/** The flags that set an address, for the part of a message that says what to do. */
export interface Setters {
  readonly host: string
  readonly port: string
}

const OWN: Setters = { host: '--host', port: '--port' }
export const NODES: Setters = { host: '--cluster-listen', port: '--cluster-listen' }
export const ADMIN: Setters = { host: '--admin', port: '--admin' }

/** Why a server can't listen at an address, and what to do next, by the system's code. */
const TROUBLES: Readonly<Record<string, (setters: Setters) => string>> = {
  EADDRINUSE: ({ port }) =>
    `the port is in use. Stop the program that uses it, or choose another with ${port}.`,
  EACCES: ({ port }) => `this user may not use that port. Choose one from 1024 up with ${port}.`,
  EADDRNOTAVAIL: ({ host }) => `this machine does not have that address. Choose another with ${host}.`,
  ENOTFOUND: ({ host }) => `there is no such host. Check ${host}.`,
}

/** An address as it is written in a URL. */
export function shownAddress(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** A message for the operator: the server can't listen at `address`, or has no usable certificate. */
export function listenTrouble(address: string, error: unknown, setters: Setters = OWN): string {
  const code = codeOf(error)
  const trouble = Object.hasOwn(TROUBLES, code) ? TROUBLES[code] : undefined
  if (trouble !== undefined) return `Cannot listen on ${address}: ${trouble(setters)}`
  const message = error instanceof Error ? error.message : String(error)
  // Without a code it is about the certificate, in whole sentences.
  return code === '' ? message : `Cannot listen on ${address}: ${message.replace(/\.*$/, '')}.`
}

/** A message for the operator: the server can't move bytes by the gear that `--relay` names. */
export function relayTrouble(gear: string, why: string | undefined): string {
  return `--relay ${gear} does not work here${why === undefined ? '' : ` (${why})`}. Leave --relay out, and the server takes the best that works.`
}
