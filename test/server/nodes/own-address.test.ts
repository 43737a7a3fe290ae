import { describe, expect, test } from 'vitest'
import { reachableAddresses } from '../../../server/nodes/own-address.js'

const LOOPBACK = [
  { address: '127.0.0.1', family: 'IPv4', internal: true },
  { address: '::1', family: 'IPv6', internal: true },
]
const IPV4 = { address: '10.0.0.5', family: 'IPv4', internal: false }
const OTHER = { address: '172.17.0.1', family: 'IPv4', internal: false }
const IPV6 = { address: 'fd00::5', family: 'IPv6', internal: false }
const OF_THE_LINK = [
  { address: 'fe80::42', family: 'IPv6', internal: false },
  { address: '169.254.7.7', family: 'IPv4', internal: false },
]

describe('a listener on all addresses is reached at', () => {
  test.each([
    ['the only one of a pod', '0.0.0.0', [IPV4], ['10.0.0.5']],
    ['that of IPv4, of two kinds', '::', [IPV4, IPV6], ['10.0.0.5']],
    ['that of IPv6, if there is no other', '::', [IPV6], ['fd00::5']],
    ['none, if it listens by IPv4 alone and there is none', '0.0.0.0', [IPV6], []],
    ['each of several', '0.0.0.0', [IPV4, OTHER], ['10.0.0.5', '172.17.0.1']],
    ['none on a machine alone', '::', [], []],
  ])('%s', (_what, wildcard, addresses, expected) => {
    const interfaces = { lo: LOOPBACK, eth0: [...OF_THE_LINK, ...addresses], gone: undefined }
    expect(reachableAddresses(wildcard, interfaces)).toEqual(expected)
  })
})
