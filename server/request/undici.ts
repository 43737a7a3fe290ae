import type { IncomingMessage } from 'node:http'

/**
 * True for a request of undici's, which is the `fetch` of Node. Where a head says `Connection: close`, its versions up to
 * Node 20 (6.24) take a reset for the end of a chunked body, and the program gets a short file without an error.
 *
 * So a download in chunks does not say that to it, and its connection ends all the same. All others are told: a client
 * that keeps its connections for later, such as OkHttp or the `Session` of Python's requests, would not look at this one
 * until then, and the sender would wait for it, and read "not confirmed".
 */
export function takesResetForEnd({ rawHeaders, headers }: IncomingMessage): boolean {
  // What it writes before the fields of its caller, in small letters, whatever it is asked for.
  const [first, , second, how] = rawHeaders
  if (first === 'host' && second === 'connection' && how === 'keep-alive') return true
  // Behind something that writes names its own way: a browser's fetch says Sec-Fetch-Site too.
  return headers['sec-fetch-mode'] !== undefined && headers['sec-fetch-site'] === undefined
}
