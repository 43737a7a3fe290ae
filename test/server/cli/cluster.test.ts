import { describe, expect, test } from 'vitest'
import { clusterSettings } from '../../../server/cli/cluster.js'
import { reachableAddresses } from '../../../server/nodes/own-address.js'
import { secretFile } from '../../helpers/start-nodes.js'

async function settings(clusterListen: string, clusterAddress?: string) {
  return await clusterSettings({
    cluster: 'redis://127.0.0.1',
    clusterPasswordFile: undefined,
    clusterListen,
    clusterAddress,
    clusterSecretFile: await secretFile(),
    clusterTls: false,
  })
}

describe('the other nodes reach a node', () => {
  test.each([
    ['where it listens', '10.0.0.1:9100', undefined, '10.0.0.1', 9100],
    ['at the name at which it listens', 'node-1:9100', undefined, 'node-1', 9100],
    ['where --cluster-address says', '0.0.0.0:9100', 'node-1.example:19100', 'node-1.example', 19_100],
    ['at an address of IPv6', '[::]:9100', '[fd00::1]:9100', 'fd00::1', 9100],
  ])('%s', async (_what, listen, address, host, port) => {
    expect((await settings(listen, address)).reachedAt).toEqual({ host, port })
  })

  test("at its machine's own address, if it listens on all and there is one; else it must be told", async () => {
    const addresses = reachableAddresses('0.0.0.0')
    const asked = settings('0.0.0.0:9100')
    if (addresses.length === 1)
      expect((await asked).reachedAt).toEqual({ host: addresses[0] ?? '', port: 9100 })
    else
      await expect(asked).rejects.toThrow(/^--cluster-listen 0\.0\.0\.0:9100 stands for .*--cluster-address/)
  })
})

test.each([
  ['--cluster-listen must be HOST:PORT', '9100', undefined],
  ['--cluster-address must be HOST:PORT', '10.0.0.1:9100', 'node-1'],
  ['--cluster-address 0.0.0.0:9100 is no address', '10.0.0.1:9100', '0.0.0.0:9100'],
  ['--cluster-address [::]:9100 is no address', '10.0.0.1:9100', '[::]:9100'],
])('%s', async (words, listen, address) => {
  await expect(settings(listen, address)).rejects.toThrow(words)
})
