import type { RawConnection, RawServer } from './client-raw-server.js'
import { unchunk } from './http-exchange.js'
import { until } from './within.js'

/** The id that the scripted servers give. */
export const ID = 'AbCdEfGhIjKl'

const OPENED = {
  event: 'opened',
  v: 1,
  id: ID,
  url: `http://127.0.0.1/${ID}`,
  ttl: 600,
  expires: '2030-01-01T00:00:00Z',
  maxUploadBytes: 0,
}

/** Takes an upload as ESS does: reads the head, answers 100 and 201, and tells the first event. */
export async function openUpload(
  server: RawServer,
  opened: Readonly<Record<string, unknown>> = {},
): Promise<RawConnection> {
  const connection = await server.accept()
  await connection.until(/\r\n\r\n/)
  connection.write(
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Type: application/x-ndjson\r\n' +
      'Transfer-Encoding: chunked\r\n\r\n',
  )
  tell(connection, { ...OPENED, ...opened })
  return connection
}

/** One event of the status stream. */
export function tell(connection: RawConnection, event: Readonly<Record<string, unknown>>): void {
  // As UTF-8, in which `chunk` has counted.
  connection.write(Buffer.from(chunk(`${JSON.stringify(event)}\n`)))
}

/** A piece of a body in the chunked form. */
export function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

/** Waits until all of an upload has come, and says how many bytes its body has. */
export async function untilUploaded(upload: RawConnection): Promise<number> {
  const [head] = await upload.until(/^[\s\S]*?\r\n\r\n/)
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(head) ?? []
  if (length !== undefined) {
    await until('the whole body has come', () => upload.text().length >= head.length + Number(length))
    return Number(length)
  }
  await upload.until(/\r\n0\r\n\r\n$/)
  return unchunk(upload.text().slice(head.length)).length
}

/** The end of a body in the chunked form. */
export const LAST_CHUNK = '0\r\n\r\n'

/** Takes a request for a download, and answers with the head of one; `headers` are whole lines. */
export async function openDownload(server: RawServer, ...headers: readonly string[]): Promise<RawConnection> {
  const connection = await acceptGet(server)
  connection.write(downloadHead(...headers))
  return connection
}

/** The next GET. A HEAD before it asks for the size; the answer has none, as for a pipe. */
export async function acceptGet(server: RawServer): Promise<RawConnection> {
  for (;;) {
    const connection = await server.accept()
    const [, method] = await connection.until(/^(\w+) [\s\S]*\r\n\r\n/)
    if (method !== 'HEAD') return connection
    connection.end(downloadHead())
  }
}

export function downloadHead(...headers: readonly string[]): string {
  const lines = [`ETag: "${ID}"`, 'Connection: close', ...headers]
  if (!headers.some((line) => /^content-disposition:/i.test(line)))
    lines.push('Content-Disposition: attachment; filename="file.txt"')
  return `HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** A refusal of ESS's. */
export function problem(status: number, code: string, detail: string): string {
  const body = JSON.stringify({ type: `urn:ess:problem:${code}`, title: 'A title', detail, status })
  return (
    `HTTP/1.1 ${status} Refused\r\nContent-Type: application/problem+json\r\nConnection: close\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
}
