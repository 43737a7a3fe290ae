import type { IncomingHttpHeaders } from 'node:http'

/** True for a browser that shows a person the answer; false for a script's fetch in one, and for programs. */
export function navigates(headers: IncomingHttpHeaders): boolean {
  const { 'sec-fetch-mode': mode, 'user-agent': agent = '' } = headers
  if (mode !== undefined) return mode === 'navigate'
  // Old browsers never send that field, and new ones leave it out over plain HTTP, except to this machine. wget2 and
  // Java name text/html too, and many programs take a browser's name, but only browsers send all of this.
  const isForPeople =
    headers['accept-language'] !== undefined || headers['upgrade-insecure-requests'] !== undefined
  return /^(?:Mozilla|Opera)\//.test(agent) && isForPeople && /\btext\/html\b/i.test(headers.accept ?? '')
}
