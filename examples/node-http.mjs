// ESS in a plain node:http server, under a path or alone.
import { createServer } from 'node:http'
import { createService } from 'ephemeral-socket-service'

const path = process.env.MOUNT ?? '/'
const mount = path.replace(/\/$/, '')
const service = createService({ reservations: true })
service.on('socket:end', (_socket, { bytes }) => console.log('delivered', bytes))
service.on('error:socket', (_socket, { outcome }) => console.log('failed', outcome))

function handle(request, response) {
  // As in Connect, the service sees the path below its mount in `url`, and takes the whole path from `originalUrl`.
  const isBelow = request.url === mount || /^[/?]/.test(request.url.slice(mount.length))
  if (request.url.startsWith(mount) && isBelow) {
    request.originalUrl = request.url
    request.url = request.url.slice(mount.length).replace(/^(?!\/)/, '/')
    service.handler(request, response)
  } else {
    response.writeHead(404).end('not found\n')
  }
}

const server = createServer(handle)
// The service says 100 (Continue) itself, so that it can refuse before the sender begins.
server.on('checkContinue', (request, response) => {
  service.holdContinue(request)
  handle(request, response)
})
server.listen(Number(process.env.PORT ?? 9000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}${path}`)
})

process.once('SIGTERM', async () => {
  await service.close({ drain: 5 })
  server.close()
})
