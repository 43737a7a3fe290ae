/*
 * Loaded into an ess-server before its own code. On SIGUSR2 it writes a line of JSON to stderr: what the server still
 * holds, by kind.
 */
import v8 from 'node:v8'
import { Delivery } from '../../dist/server/broker/delivery.js'
import { Registry } from '../../dist/server/broker/registry.js'
import { EphemeralSocket } from '../../dist/server/broker/socket.js'

const registries = new Set()
const { add } = Registry.prototype
Registry.prototype.add = function (socket) {
  registries.add(this)
  add.call(this, socket)
}

/** Node calls `queryObjects` experimental, and says so once. */
function quietly(act) {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return act()
  } finally {
    process.emitWarning = emitWarning
  }
}

process.on('SIGUSR2', () => {
  const [registry] = registries
  const { sockets = 0, uploads = 0, awaiting = 0 } = registry?.counts() ?? {}
  const resources = process.getActiveResourcesInfo()
  const left = {
    sockets,
    uploads,
    awaiting,
    timers: resources.filter((kind) => kind === 'Timeout').length,
    connections: resources.filter((kind) => /^(TCPSocketWrap|TLSWrap|PipeWrap)$/.test(kind)).length,
    // The garbage is collected first.
    socketObjects: quietly(() => v8.queryObjects(EphemeralSocket, { format: 'count' })),
    deliveryObjects: quietly(() => v8.queryObjects(Delivery, { format: 'count' })),
  }
  process.stderr.write(`${JSON.stringify({ left })}\n`)
})
