import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { clientAddress, clientOf, NO_ADDRESS } from '../../../server/request/client-address.js'
import { compileTrust } from '../../../server/request/public-url.js'

/** A request from a peer with this address, that came with these headers. */
function requestFrom(peer: string | undefined, headers: Readonly<Record<string, string>> = {}) {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: peer })
  return Object.assign(new IncomingMessage(socket), { headers })
}

const NOBODY = compileTrust([])

describe('a peer', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7', '192.0.2.7'],
    // What Node says of an IPv4 peer where it listens on "::".
    ['::ffff:192.0.2.7', '192.0.2.7', '192.0.2.7'],
    ['::FFFF:C000:207', '192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::', '2001:db8:1:3::', '2001:db8:1:3::/64'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1', '2001:db8::/64'],
    ['::1', '::1', '::/64'],
    // All of one link are one client, for whoever is on a link can have any of its addresses.
    ['fe80::1%eth0', 'fe80::1%eth0', 'fe80::/64'],
    ['fe80::2%eth0', 'fe80::2%eth0', 'fe80::/64'],
    [undefined, NO_ADDRESS, NO_ADDRESS],
  ])('%s is %s, and counts as %s', (peer, address, client) => {
    const request = requestFrom(peer)
    expect({ address: clientAddress(request, NOBODY), client: clientOf(request, NOBODY) }).toEqual({
      address,
      client,
    })
  })

  test.each([
    ['X-Forwarded-For', '198.51.100.1'],
    ['Forwarded', 'for=198.51.100.1'],
    ['X-Real-IP', '198.51.100.1'],
    ['CF-Connecting-IP', '198.51.100.1'],
    ['True-Client-IP', '198.51.100.1'],
    ['X-Client-IP', '198.51.100.1'],
    ['X-Cluster-Client-IP', '198.51.100.1'],
    ['Via', '1.1 198.51.100.1'],
  ])('that nobody trusts stays who it is, with %s: %s', (name, value) => {
    const request = requestFrom('192.0.2.7', { [name.toLowerCase()]: value })
    expect(clientOf(request, NOBODY)).toBe('192.0.2.7')
    expect(clientOf(request, compileTrust(['10.0.0.0/8', '198.51.100.1']))).toBe('192.0.2.7')
  })
})

describe('behind proxies that are trusted, 10.0.0.0/8 and 2001:db8:ff::/48', () => {
  const trust = compileTrust(['10.0.0.0/8', '2001:db8:ff::/48'])

  test.each([
    ['one proxy', '10.0.0.1', '192.0.2.7', '192.0.2.7'],
    ['one proxy, over IPv6', '2001:db8:ff::1', '2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['one proxy, whose address is written as IPv6', '::ffff:10.0.0.1', '192.0.2.7', '192.0.2.7'],
    ['two proxies', '10.0.0.1', '192.0.2.7, 10.0.0.2', '192.0.2.7'],
    ['two proxies, without spaces', '10.0.0.1', '192.0.2.7,10.0.0.2', '192.0.2.7'],
    ['a client that forges', '10.0.0.1', '198.51.100.1, 192.0.2.7', '192.0.2.7'],
    ['a client that forges a proxy', '10.0.0.1', '198.51.100.1, 10.9.9.9, 192.0.2.7', '192.0.2.7'],
    ['a client that writes nonsense', '10.0.0.1', 'x"\'<>, ,, 192.0.2.7', '192.0.2.7'],
    ['a client written as IPv6', '10.0.0.1', '::ffff:192.0.2.7', '192.0.2.7'],
    ['a client of a proxy that is not trusted', '192.0.2.9', '192.0.2.7', '192.0.2.9'],
    ['a client of the second proxy, which is not trusted', '10.0.0.1', '192.0.2.7, 192.0.2.9', '192.0.2.9'],
    ['a proxy that asks for itself', '10.0.0.1', undefined, '10.0.0.1'],
    ['proxies and nobody else', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    // Counted by the text, each of its connections would be a client of its own.
    ['a proxy that writes the port too', '10.0.0.1', '192.0.2.7:51234', '10.0.0.1'],
    // Node would not write it so; some parsers read it as 192.0.0.7.
    ['a proxy that shortens', '10.0.0.1', '192.7', '10.0.0.1'],
    ['a proxy that hides its clients', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['a proxy that hides them, behind another', '10.0.0.1', '192.0.2.7, _hidden, 10.0.0.2', '10.0.0.2'],
    ['a proxy that says nothing', '10.0.0.1', '', '10.0.0.1'],
  ])('%s: from %s with %s it counts as %s', (_kind, peer, forwardedFor, client) => {
    const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }
    expect(clientOf(requestFrom(peer, headers), trust)).toBe(client)
  })

  test('no other header says who the client is', () => {
    const others = { forwarded: 'for=198.51.100.1', 'x-real-ip': '198.51.100.1' }
    expect(clientOf(requestFrom('10.0.0.1', { ...others, 'x-forwarded-for': '192.0.2.7' }), trust)).toBe(
      '192.0.2.7',
    )
    expect(clientOf(requestFrom('10.0.0.1', others), trust)).toBe('10.0.0.1')
  })

  test('a Unix socket is not trusted, whatever it says', () => {
    expect(clientOf(requestFrom(undefined, { 'x-forwarded-for': '192.0.2.7' }), trust)).toBe(NO_ADDRESS)
  })
})
