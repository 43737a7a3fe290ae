// ESS as a part of a Hono app that has its own pages.
import { serve } from '@hono/node-server'
import { attach } from 'ephemeral-socket-service'
import { Hono } from 'hono'

const path = process.env.MOUNT ?? '/'
const app = new Hono()
app.get('/about', (context) => context.text('a page of our own\n'))

const service = attach(app, { path, reservations: true })
service.on('socket:end', (_socket, { bytes }) => console.log('delivered', bytes))
service.on('error:socket', (_socket, { outcome }) => console.log('failed', outcome))

const server = serve(
  {
    fetch: app.fetch,
    port: Number(process.env.PORT ?? 9000),
    hostname: '127.0.0.1',
    // Otherwise an upload loses its body when the adapter thinks that the request is over.
    autoCleanupIncoming: false,
  },
  ({ port }) => console.log(`http://127.0.0.1:${port}${path}`),
)

process.once('SIGTERM', async () => {
  await service.close({ drain: 5 })
  server.close()
})
