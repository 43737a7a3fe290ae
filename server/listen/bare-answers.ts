import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { EssError } from '../../shared/index.js'
import { problemAsBytes } from '../answer/problem-response.js'
import type { Service } from '../broker/service.js'
import { drainThenDestroy } from '../node/linger.js'
import type { ResponsePort } from '../node/ports.js'
import { timings } from '../node/timings.js'

/** Connections that were told why they end, and whose last bytes are thrown away. */
const answered = new WeakSet<Socket>()

/** Answers what Node could not read as HTTP. Node also calls it for every connection that broke. */
export function answerBroken(service: Service, error: NodeJS.ErrnoException, connection: Socket): void {
  // Node goes on to read what it could not understand, and says so each time.
  if (connection.destroyed || answered.has(connection)) return
  if (service.breakOff(connection, error)) return
  // After a response there is nothing to answer; the end of the connection tells the peer.
  if (connection.writable && connection.bytesWritten === 0) {
    answered.add(connection)
    const problem = brokenRequest(error)
    // There is no request to report, so an empty one says whose it was. A client that left in the middle of a head was
    // not refused; if it left in the middle of a body, that request reports it.
    if (error.code !== 'HPE_INVALID_EOF_STATE') service.refused(problem, new IncomingMessage(connection))
    endBare(connection, problem)
  } else connection.destroy()
}

/**
 * Answers on a connection that has no response object, and ends it: after `ahead`, the response to the request before,
 * which may be a transfer.
 */
export function endInTurn(
  connection: Socket,
  ahead: ResponsePort | undefined,
  problem: EssError,
  headers: Readonly<Record<string, string>>,
): void {
  if (ahead === undefined || ahead.writableFinished) {
    endBare(connection, problem, headers)
    return
  }
  // Node has stopped reading, and only a read shows that the peer has left. An error without a listener is a crash.
  connection.on('error', () => undefined).resume()
  ahead.once('finish', () => {
    if (connection.writable) endBare(connection, problem, headers)
  })
}

/** Refuses a connection before a byte of it was read, and closes it as soon as the answer is out, to hold no more. */
export function refuseBare(connection: Socket, problem: EssError): void {
  connection.on('error', () => undefined)
  connection.write(problemAsBytes(problem, { 'Retry-After': String(problem.retryAfter) }))
  connection.destroySoon()
}

/** Answers on a connection that has no response object, and ends it at once. */
function endBare(connection: Socket, problem: EssError, headers?: Readonly<Record<string, string>>): void {
  // After CONNECT nothing else listens, and a peer that has left is no reason to crash.
  connection.on('error', () => undefined)
  connection.end(problemAsBytes(problem, headers))
  // A peer that never closes its half, or that is not read because its body was left waiting, would keep it open.
  drainThenDestroy(connection)
}

function brokenRequest(error: NodeJS.ErrnoException): EssError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new EssError(
        'headers-too-large',
        'The request has more than 16 KiB or more than 100 headers. Send fewer, or use a shorter file name.',
      )
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new EssError(
        'request-timeout',
        `The headers of the request did not arrive within ${timings.headMs / 1000} s. Check your connection, and try again.`,
      )
    default:
      return new EssError(
        'bad-request',
        `The server could not read this as HTTP/1.1 (${error.message}). Check the address: http or https, and the port.`,
      )
  }
}
