// ESS as an embedder serves it over HTTPS. Arguments: DIST PORT CERTIFICATE KEY.
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [dist = '', port, certificate = '', key = ''] = process.argv.slice(2)
const library = await import(pathToFileURL(join(dist, 'server/index.js')).href)
// The door of a build that may be another than this one: what is used of it here.
const { createService } = library as {
  createService(options: Record<string, unknown>): {
    handler(request: IncomingMessage, response: ServerResponse): void
    holdContinue(request: IncomingMessage): void
  }
}
const service = createService({
  maxUploadBytes: 0,
  maxSockets: 20_000,
  maxSocketsPerClient: 0,
  maxMissesPerClient: 0,
})
const server = createServer(
  {
    cert: readFileSync(certificate),
    key: readFileSync(key),
    requestTimeout: 0,
    headersTimeout: 30_000,
    highWaterMark: 16 * 1024,
  },
  service.handler,
)
server.on('checkContinue', (request, response) => {
  service.holdContinue(request)
  service.handler(request, response)
})
server.listen(Number(port), '127.0.0.1')
