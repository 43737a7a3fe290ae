import { describe, expect, test } from 'vitest'
import { brokerOf } from '../../../server/embed.js'
import { createService, type ServiceOptions } from '../../../server/index.js'
import { isSocketId } from '../../../shared/index.js'

/** Node's longest timer, in whole seconds. */
const LONGEST = 2_147_483

test('the defaults suit a server of your own behind nothing', () => {
  const { options } = brokerOf(createService())
  expect(options).toMatchObject({
    ttlMs: 600_000,
    maxUploadBytes: 1_073_741_824,
    maxSockets: 10_000,
    maxSocketsPerClient: 32,
    maxReservationsPerClient: 16,
    maxWaitingPerClient: 32,
    maxMissesPerClient: 60,
    stallTimeoutMs: 60_000,
    heartbeatMs: 30_000,
    baseUrl: undefined,
    tombstoneTtlMs: 600_000,
    reservations: false,
    requiredReferer: undefined,
    earlyResponse: true,
    proxyFullDuplex: false,
    proxyHidesCuts: false,
  })
  expect(['127.0.0.1', '::1', '10.0.0.1'].filter((address) => options.trust(address))).toEqual([])
})

test('an id is made of 72 random bits, and never begins or ends with a dash or an underscore', () => {
  const { generate, matches } = brokerOf(createService()).options.ids
  const ids = Array.from({ length: 2000 }, () => generate())
  expect(ids.filter((id) => !isSocketId(id) || !matches(id))).toEqual([])
  expect(new Set(ids).size).toBe(ids.length)
})

describe.each([
  ['ttl', 'ttlMs', 'a positive number'],
  ['heartbeat', 'heartbeatMs', 'a positive number'],
  ['stallTimeout', 'stallTimeoutMs', 'zero or a positive number'],
  ['tombstoneTtl', 'tombstoneTtlMs', 'zero or a positive number'],
] as const)('%s', (name, resolved, range) => {
  const isZeroFine = range.startsWith('zero')

  test.each([0.001, 0.5, 1, LONGEST, ...(isZeroFine ? [0] : [])])('can be %d seconds', (seconds) => {
    expect(brokerOf(createService({ [name]: seconds })).options[resolved]).toBe(1000 * seconds)
  })

  test.each<[unknown, string]>([
    [-1, '-1'],
    [-0.001, '-0.001'],
    [Number.NaN, 'NaN'],
    ['60', '"60"'],
    ...(isZeroFine ? [] : ([[0, '0']] satisfies [unknown, string][])),
  ])('cannot be %s', (value, shown) => {
    expectUsage(
      // What a caller without types might give.
      { [name]: value } as ServiceOptions,
      `"${name}" must be ${range} of seconds, not ${shown}.`,
    )
  })

  test.each([LONGEST + 1, Number.POSITIVE_INFINITY])('cannot be as long as %d', (value) => {
    expectUsage({ [name]: value }, `"${name}" must be at most ${LONGEST} seconds, not ${value}.`)
  })
})

describe.each([
  ['maxUploadBytes', 'bytes', 0],
  ['maxSockets', 'sockets', 1],
  ['maxSocketsPerClient', 'sockets', 0],
  ['maxReservationsPerClient', 'reservations', 0],
  ['maxWaitingPerClient', 'receivers', 0],
  ['maxMissesPerClient', 'requests', 0],
] as const)('%s', (name, unit, least) => {
  test.each([least, 1, 2 ** 40, Number.MAX_SAFE_INTEGER])('can be %d', (value) => {
    expect(brokerOf(createService({ [name]: value })).options[name]).toBe(value)
  })

  test.each<[unknown, string]>([
    [least - 1, String(least - 1)],
    [1.5, '1.5'],
    [Number.NaN, 'NaN'],
    [2 ** 53, '9007199254740992'],
    ['1GiB', '"1GiB"'],
  ])('cannot be %s', (value, shown) => {
    expectUsage(
      // What a caller without types might give.
      { [name]: value } as ServiceOptions,
      `"${name}" must be a whole number of ${unit}, at least ${least}, not ${shown}.`,
    )
  })
})

describe('baseUrl', () => {
  test.each([
    ['https://send.example.org', 'https://send.example.org'],
    ['https://send.example.org/', 'https://send.example.org'],
    ['http://send.example.org:8080/share//', 'http://send.example.org:8080/share'],
    ['HTTPS://SEND.example.org/Share', 'https://send.example.org/Share'],
    ['http://[::1]:9000', 'http://[::1]:9000'],
  ])('can be %s', (baseUrl, resolved) => {
    expect(brokerOf(createService({ baseUrl })).options.baseUrl).toBe(resolved)
  })

  test.each([
    '',
    'send.example.org',
    '/share',
    'ftp://send.example.org',
    'https://user@send.example.org',
    'https://:secret@send.example.org',
    'https://send.example.org/?a=b',
    'https://send.example.org/#a',
  ])('cannot be %j', (baseUrl) => {
    const expected = 'an http or https URL without credentials, query or fragment'
    expectUsage({ baseUrl }, `"baseUrl" must be ${expected}, not ${JSON.stringify(baseUrl)}.`)
  })
})

describe('trustProxy', () => {
  test.each([
    [['10.0.0.0/8'], ['10.1.2.3', '::ffff:10.1.2.3'], ['11.0.0.1', '127.0.0.1', '::1', '']],
    [['192.0.2.7'], ['192.0.2.7'], ['192.0.2.8']],
    [['loopback'], ['127.0.0.1', '127.9.9.9', '::1'], ['10.0.0.1']],
    [
      ['2001:db8::/32', '192.0.2.0/24'],
      ['2001:db8::1', '192.0.2.1'],
      ['2001:db9::1', '192.0.3.1'],
    ],
    [[], [], ['127.0.0.1', '::1']],
  ])('of %j believes %j and not %j', (trustProxy, believed, others) => {
    const { trust } = brokerOf(createService({ trustProxy })).options
    expect([...believed, ...others].filter(trust)).toEqual(believed)
  })

  test.each(['everybody', '10.0.0.0/33', '10.0.0', '*', 'proxy.example.org'])('cannot have %j', (proxy) => {
    expectUsage(
      { trustProxy: ['127.0.0.1', proxy] },
      `"trustProxy" must be addresses, ranges such as 10.0.0.0/8, or loopback, linklocal or uniquelocal, not "127.0.0.1,${proxy}".`,
    )
  })
})

test.each([
  ['reservations', 'yes', 'true or false', '"yes"'],
  ['earlyResponse', 0, 'true or false', '0'],
  ['proxyFullDuplex', 'false', 'true or false', '"false"'],
  ['renderStatus', 'ok', 'a function', '"ok"'],
  ['onError', true, 'a function', 'true'],
  ['trustProxy', 'loopback', 'a list', '"loopback"'],
  ['ids', 'x', 'a pattern and a generator', '"x"'],
])('%s cannot be %j', (name, value, expected, shown) => {
  // What a caller without types might give.
  expectUsage({ [name]: value } as ServiceOptions, `"${name}" must be ${expected}, not ${shown}.`)
})

function expectUsage(options: ServiceOptions, message: string): void {
  expect(() => createService(options)).toThrow(expect.objectContaining({ code: 'usage', message }))
}
