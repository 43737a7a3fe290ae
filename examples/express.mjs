// An Express app that makes a service of its own out of ESS: it listens, and it speaks for itself.
import { attach } from 'ephemeral-socket-service'
import express from 'express'

const path = process.env.MOUNT ?? '/'
const app = express()

/** The sender's status stream, in our own words; the download URL is written before them. */
const texts = {
  opened: (socket) => `socket ${socket.id.slice(0, 4)}… opened; send the URL above to your receiver`,
  waiting: (_socket, { secondsLeft }) => `still nobody there; ${secondsLeft} s left`,
  connected: () => 'receiver connected, sending your file',
  delivered: (_socket, { bytes }) => `done: ${bytes} bytes have arrived`,
  failed: (_socket, { problem }) => `something went wrong: ${problem.title}`,
}

const service = attach(app, {
  path,
  reservations: true,
  requiredReferer: null,
  maxUploadBytes: 2 ** 30,
  renderStatus: (event, socket) => texts[event.event]?.(socket, event),
})

// Whoever has an id has the file, so a log has only its beginning.
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
server.requestTimeout = 0 // Node would end every request after five minutes, even one whose bytes flow.
