// An Express app around ESS, with its own events and its own words.
import { attach } from 'ephemeral-socket-service'
import express from 'express'

const path = process.env.MOUNT ?? '/'
const app = express()

/** The sender's status stream; the download URL is written before these. */
const texts = {
  opened: (socket) => `Ephemeral socket open with ID ${socket.id}`,
  delivered: () => 'Upload complete. Socket deleted.',
  failed: (_socket, { problem: { type, detail } }) =>
    type.endsWith(':expired') ? 'Timed out. No one requested your socket.' : `Upload failed: ${detail}.`,
}

const service = attach(app, {
  path,
  ttl: 600,
  maxUploadBytes: 2 ** 30,
  reservations: true,
  requiredReferer: null, // Better: the URL of the page that may reserve.
  renderStatus: (event, socket) => texts[event.event]?.(socket, event),
  onError: (error) => (error.code === 'not-found' ? { body: 'Not found\n' } : undefined),
})

// Anyone who has an id can have the file, so the log has only its beginning.
const log = (what, socket, more = '') => console.log(what, socket.id.slice(0, 4), more)
service.on('socket:opened', (socket, _id, query) => log('socket:opened', socket, query.toString()))
service.on('socket:connected', (socket) => log('socket:connected', socket))
service.on('socket:end', (socket, stats) => log('socket:end', socket, `${stats.bytes} bytes`))
service.on('socket:timeout', (socket) => log('socket:timeout', socket))
service.on('error:socket', (socket, stats) => log('error:socket', socket, stats.outcome))
for (const name of ['error:not-found', 'error:max-upload', 'error:referer'])
  service.on(name, (error) => console.log(name, error.code))

const server = app.listen(Number(process.env.PORT ?? 9000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}${path}`)
})
