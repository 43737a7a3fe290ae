import { randomBytes } from 'node:crypto'
import { isSocketId, SOCKET_ID_LENGTH } from '../../shared/index.js'

/** Drawing from the CSPRNG costs the same for many ids as for one. */
const IDS_PER_DRAW = 128

/** Characters drawn, but not given out yet. */
let pool = ''

/** 72 bits from the CSPRNG. One draw in sixteen begins or ends with `-` or `_`, and is skipped. */
export function randomId(): string {
  for (;;) {
    if (pool === '') pool = randomBytes((IDS_PER_DRAW * SOCKET_ID_LENGTH * 6) / 8).toString('base64url')
    const id = pool.slice(0, SOCKET_ID_LENGTH)
    pool = pool.slice(SOCKET_ID_LENGTH)
    if (isSocketId(id)) return id
  }
}
