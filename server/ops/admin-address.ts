import { EssError } from '../../shared/index.js'

/** The address of the operator's listener. */
export interface AdminAddress {
  /** An address or a name, without brackets. */
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
}

/** Reads `HOST:PORT`, with an IPv6 address in brackets. Throws EssError `usage`. */
export function parseAdminAddress(value: string): AdminAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(value) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535)
    throw new EssError(
      'usage',
      `--admin must be HOST:PORT, such as 127.0.0.1:9001, not ${JSON.stringify(value)}.`,
    )
  return { host, port: Number(port) }
}
