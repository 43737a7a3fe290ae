import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** Listens on a free port, and passes connections on to `port`: at most so many bytes a second come back from there. */
export async function slowPath(port, bytesASecond) {
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    // A connection that breaks off is the client's affair; it is told by its own end.
    void pipeline(near, far).catch(() => {})
    void pipeline(far, slowly(bytesASecond), near).catch(() => {})
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: server.address().port,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

function slowly(bytesASecond) {
  return new Transform({
    transform(bytes, _encoding, done) {
      void sleep((bytes.length / bytesASecond) * 1000).then(() => done(null, bytes))
    },
  })
}
