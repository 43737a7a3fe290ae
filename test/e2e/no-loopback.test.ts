import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { makeNetworks, SENDERS_NET } from '../helpers/networks.js'

const ESS_SERVER = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
/** The server's probe of its gears, which goes over the loopback device, takes no longer than this. */
const PROBE_MS = 5000

test('a server whose machine has no loopback address says so, and goes on', async (context) => {
  const { server } = makeNetworks(context)
  server.now('ip', 'address', 'flush', 'dev', 'lo')
  const flags = ['--host', `${SENDERS_NET}.1`, '--open', '--port', '0']
  const serving = await server.run(process.execPath, [ESS_SERVER, ...flags])
  await serving.untilStdout(/listening on /)
  expect(serving.stderr()).toContain('relay by streams')
  await delay(PROBE_MS)
  serving.kill('SIGTERM')
  expect(await serving.ended()).toMatchObject({ code: 0 })
})
