import { resolveOptions } from '../broker/options.js'
import { HSTS_MAX_AGE } from '../listen/hsts.js'
import { watchCertificate } from '../listen/tls.js'
import { listenForOperator } from '../ops/admin.js'
import { logNotes } from '../ops/log.js'
import { measureWorkers } from '../ops/metrics.js'
import type { TokenHashes } from '../workers/messages.js'
import { Workers } from '../workers/parent.js'
import { type Backend, type BackendSetup, refuseOtherGear, reloadNotes } from './backend.js'
import type { TokenFiles } from './token-files.js'

/** That many workers, each a process. Rejects with an Error that says why they can't serve. */
export async function severalWorkers(
  { flags, options, tls, tokens, stderr }: BackendSetup,
  count: number,
): Promise<Backend> {
  const resolved = resolveOptions(options)
  const log = logNotes(flags.log, stderr)
  const certificate = tls && (await watchCertificate({ ...tls, onReload: reloadNotes(log) }))
  const workers = new Workers({
    count,
    options,
    resolved,
    maxConnectionsPerClient: flags.maxConnectionsPerClient,
    log: flags.log,
    isMeasured: flags.admin !== undefined,
    hstsMaxAge: tls?.hstsMaxAge ?? HSTS_MAX_AGE,
    lines: (text) => stderr.write(text),
    note: log.note,
  })
  if (tokens !== undefined) workers.setTokens(hashesOf(tokens))
  tokens?.onChange(() => workers.setTokens(hashesOf(tokens)))
  certificate?.use((pair) => workers.setPair(pair))
  try {
    await workers.start()
    refuseOtherGear(flags, workers.relay)
  } catch (error) {
    await workers.stopNow()
    certificate?.close()
    throw error
  }

  async function end(stopped: Promise<void>): Promise<void> {
    await stopped
    certificate?.close()
  }

  return {
    log,
    relay: workers.relay,
    nodesAddress: undefined,
    listenAdmin: (address) => {
      const own = measureWorkers({ workers: () => workers.readyCount, restarts: () => workers.restarts }, log)
      return listenForOperator(
        {
          metrics: async () => await workers.metrics(await own.data()),
          get isAccepting() {
            return workers.isAccepting
          },
          trouble: undefined,
        },
        address,
      )
    },
    listen: async () => {
      const { family, address, port } = await workers.listen(flags.port, flags.host)
      const scheme = certificate === undefined ? 'http' : 'https'
      return {
        url: `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
        port,
        certificate: certificate?.report(),
        reload: async () => await certificate?.reload(),
        stop: (drainMs) => end(workers.stop(drainMs)),
        stopNow: () => end(workers.stopNow()),
      }
    },
    close: () => end(workers.stopNow()),
  }
}

function hashesOf({ digests }: TokenFiles): TokenHashes {
  const hashes = (access: 'send' | 'receive') => digests(access)?.map((digest) => digest.toString('hex'))
  return { send: hashes('send'), receive: hashes('receive') }
}
