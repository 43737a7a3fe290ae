import { EssError, HEADERS, PARTIAL_UPLOAD } from '../../shared/index.js'
import { type Answer, JSON_ACCEPT, problemIn, refusalIn } from '../http/ask.js'

/**
 * Bytes of a piece. Each costs a round trip, in which nothing moves, and what a proxy has of a piece that is cut must be
 * sent again.
 */
export const PIECE_BYTES = 8 * 1024 * 1024

/** A page can go back to any byte of its file, and open its link again at another node. */
export const CAN_GO_ON: Readonly<Record<string, string>> = {
  [HEADERS.essResume]: 'rewind',
  [HEADERS.essReopen]: '?1',
}

/** Where a piece is in the body. */
export interface Piece {
  readonly from: number
  readonly to: number
  readonly size: number
}

/** The fields of a request that brings a piece. */
export function pieceHeaders({ from, to, size }: Piece): Record<string, string> {
  return {
    accept: JSON_ACCEPT,
    'content-type': PARTIAL_UPLOAD,
    ...CAN_GO_ON,
    [HEADERS.uploadOffset]: String(from),
    [HEADERS.uploadComplete]: to === size ? '?1' : '?0',
    [HEADERS.uploadLength]: String(size),
  }
}

/** Throws unless the server has handed on all bytes of the piece. */
export function expectTaken(answer: Answer, { to }: Piece): void {
  if (answer.status !== 204) throw refusalOf(answer)
  if (Number(answer.headers.get(HEADERS.uploadOffset)) !== to) throw new EssError('mismatching-upload-offset')
}

/** What a proxy answers that lets no PATCH through. */
const REFUSES_METHOD = [403, 405, 501]
const TOO_LARGE = 413

/** The error in an answer to an upload; `connection-lost` for a proxy's word that the server is away. */
export function refusalOf(answer: Answer): EssError {
  const problem = problemIn(answer)
  if (problem !== undefined) return problem
  if (REFUSES_METHOD.includes(answer.status)) return new EssError('method-not-allowed')
  if (answer.status === TOO_LARGE) return new EssError('too-large')
  return answer.status >= 500 ? new EssError('connection-lost') : refusalIn(answer)
}
