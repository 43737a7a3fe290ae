import { EssError } from '../../shared/index.js'

/** Where the operator's own listener is. */
export interface AdminAddress {
  /** An address or a name, without brackets. */
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
}

/** `HOST:PORT`, with an IPv6 address in brackets. Throws EssError `usage`. */
export function parseAdminAddress(value: string): AdminAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(value) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535)
    throw new EssError(
      'usage',
      `Expected --admin to be HOST:PORT, such as 127.0.0.1:9001, got ${JSON.stringify(value)}`,
    )
  return { host, port: Number(port) }
}
