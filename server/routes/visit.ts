import type { Call } from '../broker/service.js'
import type { Address } from './addresses.js'

/** A request at an address, as both doors hand it to the table: `direct.ts` and the Hono adapter in `app.ts`. */
export interface Visit extends Call {
  readonly address: Address
  /**
   * True where a framework has promised the request's body to a middleware. Undefined where no framework can have
   * touched the request: its body then needs no check before the broker's own.
   */
  readonly isBodyPromised?: boolean
}
