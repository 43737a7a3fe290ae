import { describe, expect, test } from 'vitest'
import { brokerOf } from '../../../server/embed.js'
import { createService, type ServiceOptions } from '../../../server/index.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { openSender, serve } from '../serve.js'

const UNKNOWN = 'abcdefghijkl'
const OURS = 'https://app.example'
const FORM = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', Origin: 'https://evil.example' }
const BASIC = `Basic ${Buffer.from(':secret').toString('base64')}`

/** The status and the head of the answer; a socket that is opened has no end. */
async function ask(options: ServiceOptions, target: string, headers: Readonly<Record<string, string>>) {
  const { port } = await serve({ reservations: true, ...options })
  const peer = await connectRaw(port)
  await peer.write(requestHead(target, { 'Content-Length': '0', ...headers }))
  const [head, status] = await peer.until(/^HTTP\/1\.1 (\d+) .*?\r\n\r\n/s)
  const text = /\r\nContent-Length: /i.test(head) ? (await peer.until(/\r\n\r\n.+\n/s))[0] : head
  return { status: Number(status), head, text }
}

describe('authorize', () => {
  test('is asked what a request wants, with the request', async () => {
    const asked: unknown[] = []
    const { port } = await serve({
      reservations: true,
      authorize: (access, { method, url }) => asked.push(`${access}: ${method} ${url}`) > 0,
    })
    for (const target of [
      'POST /?ttl=0',
      'PUT /a?ttl=0',
      'GET /reserve',
      `HEAD /${UNKNOWN}`,
      `GET /${UNKNOWN}/b`,
    ])
      await exchange(port, requestHead(target, { 'Content-Length': '0' }))
    for (const target of ['GET /', 'GET /health', 'OPTIONS /', 'DELETE /uploads/none', 'PATCH /'])
      await exchange(port, requestHead(target))
    expect(asked).toEqual([
      'send: POST /?ttl=0',
      'send: PUT /a?ttl=0',
      'send: GET /reserve',
      `receive: HEAD /${UNKNOWN}`,
      `receive: GET /${UNKNOWN}/b`,
    ])
  })

  test.each([
    ['says false', () => false],
    ['says something true that is not true', () => 'yes'],
    ['cannot say it at once', async () => true],
    [
      'fails',
      () => {
        throw new Error('the database is away')
      },
    ],
  ])('lets nobody in when it %s', async (_how, authorize) => {
    // What a caller without types might give.
    const served = await serve({ authorize: authorize as () => boolean })
    served.service.on('error:listener', () => {})
    const request = requestHead('POST /', { 'Content-Length': '1', Expect: '100-continue' })
    const answer = await exchange(served.port, request)
    expect(answer).toMatchObject({ status: 401, headers: { connection: 'close' } })
    expect(served.refused).toEqual(['unauthorized'])
    expect(served.opened).toEqual([])
  })

  test('has to be a function', () => {
    // What a caller without types might give.
    const options = { authorize: ['token'] } as unknown as ServiceOptions
    expect(() => createService(options)).toThrow('"authorize" must be a function')
  })
})

describe('corsOrigins', () => {
  test.each([['*', 'https://a.example'], ['http://localhost:8080/app'], ['null'], ['a.example'], ['']])(
    'cannot be %j',
    (...corsOrigins) => {
      expect(() => createService({ corsOrigins })).toThrow(/^"corsOrigins" must be origins such as .*, not "/)
    },
  )

  test('are read as browsers write them', () => {
    const { cors } = brokerOf(createService({ corsOrigins: ['https://A.example:443/'] })).options
    expect(cors.isListed('https://a.example')).toBe(true)
  })

  const REQUESTS = [
    ['the early response', 'PUT /a', 201],
    ['a refusal', 'PUT /a?ttl=0', 400],
    ['what is not there', `GET /${UNKNOWN}`, 404],
    ['the usage', 'GET /', 200],
    ['a reservation', 'POST /reserve', 201],
    ['a preflight', `OPTIONS /${UNKNOWN}`, 204],
  ] as const

  test.each(REQUESTS)('lets a page that is listed read %s', async (_what, target, status) => {
    const answer = await ask({ corsOrigins: ['https://other.example', OURS] }, target, { Origin: OURS })
    expect(answer.status).toBe(status)
    expect(answer.head).toMatch(/\r\nAccess-Control-Allow-Origin: https:\/\/app\.example\r\n/i)
    expect(answer.head).toMatch(/\r\nVary: Origin\r\n/i)
    const allows = answer.head.match(/^Access-Control-Allow-(?:Methods|Headers)/gim) ?? []
    expect(allows).toHaveLength(status === 204 ? 2 : 0)
  })

  test.each(REQUESTS)('says nothing to others of %s', async (_what, target) => {
    for (const headers of [{ Origin: 'https://app.example.evil.example' }, { Origin: 'null' }, {}]) {
      const { head } = await ask({ corsOrigins: [OURS] }, target, headers)
      expect(head).toMatch(/\r\nVary: Origin\r\n/i)
      expect(head).not.toMatch(/Access-Control/i)
    }
  })

  test('holds for the download, its HEAD, and the answer to an upload by reservation', async () => {
    const { port } = await serve({ corsOrigins: [OURS], reservations: true })
    const sender = await openSender(port, { length: 0 })
    for (const method of ['HEAD', 'GET'])
      expect(
        (await exchange(port, requestHead(`${method} /${sender.id}`, { Origin: OURS }))).headers,
      ).toMatchObject({
        'access-control-allow-origin': OURS,
        vary: 'Origin',
      })
    const { body } = await exchange(port, requestHead('POST /reserve', { Accept: 'application/json' }))
    const { id, upload = '' } = JSON.parse(body) as Record<string, string> // A reservation, whose members are text.
    const head = requestHead(`PUT ${new URL(upload).pathname}`, { Origin: OURS, 'Content-Length': '0' })
    const [answer] = await Promise.all([exchange(port, head), exchange(port, requestHead(`GET /${id}`))])
    expect(answer).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': OURS } })
  })

  test('is for every page, without Vary, unless it is said', async () => {
    const { head } = await ask({}, 'GET /', { Origin: OURS })
    expect(head).toMatch(/\r\nAccess-Control-Allow-Origin: \*\r\n/i)
    expect(head).not.toMatch(/^Vary/im)
  })
})

describe("another site's page", () => {
  const LISTED = { corsOrigins: [OURS] }
  const GUARDED = { authorize: () => true }
  const NO_FETCH_METADATA = { Origin: 'https://evil.example', Accept: 'text/html' }

  test.each<[string, ServiceOptions, string, Record<string, string>]>([
    ['a form that receives', {}, `POST /${UNKNOWN}`, FORM],
    [
      'a form that receives, of the host next door',
      {},
      `POST /${UNKNOWN}`,
      { ...FORM, 'Sec-Fetch-Site': 'same-site' },
    ],
    ['a form that receives, over plain HTTP', {}, `POST /${UNKNOWN}`, NO_FETCH_METADATA],
    [
      'a form that receives and hides where it is',
      {},
      `POST /${UNKNOWN}`,
      { ...NO_FETCH_METADATA, Origin: 'null' },
    ],
    ['a form that sends, where origins are listed', LISTED, 'POST /', FORM],
    [
      'a script that sends, where origins are listed',
      LISTED,
      'POST /',
      { ...FORM, 'Sec-Fetch-Mode': 'no-cors' },
    ],
    ['a form that sends over plain HTTP, where origins are listed', LISTED, 'POST /', NO_FETCH_METADATA],
    [
      'a picture that reserves, where origins are listed',
      LISTED,
      'GET /reserve',
      { 'Sec-Fetch-Site': 'cross-site' },
    ],
    ...['image', 'script', 'style', 'video', 'font', 'object'].map(
      (part): [string, ServiceOptions, string, Record<string, string>] => [
        `a link as its ${part}`,
        {},
        `GET /${UNKNOWN}`,
        { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': part },
      ],
    ),
    [
      'a picture that reserves',
      {},
      'GET /reserve',
      { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    ],
    ['a form that rides on a password', GUARDED, 'POST /', { ...FORM, Authorization: BASIC }],
    ['a form that rides on a cookie', GUARDED, 'POST /', { ...FORM, Cookie: 'session=1' }],
    [
      'a picture that rides on a password',
      GUARDED,
      `GET /${UNKNOWN}`,
      { 'Sec-Fetch-Site': 'cross-site', Authorization: BASIC },
    ],
  ])('may not have %s', async (_what, options, target, headers) => {
    const { status, text } = await ask(options, target, headers)
    expect(status).toBe(403)
    if (headers['Accept'] === undefined) expect(text).toMatch(/\r\n\r\n.* \[cross-site\]\n$/)
  })

  test.each<[string, ServiceOptions, string, Record<string, string>, number]>([
    ['a form that sends', {}, 'POST /', FORM, 201],
    ['a script that receives', {}, `POST /${UNKNOWN}`, { ...FORM, 'Sec-Fetch-Mode': 'cors' }, 404],
    [
      'a picture by CORS',
      {},
      `GET /${UNKNOWN}`,
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'image' },
      404,
    ],
    [
      'a link that a person saves without opening it',
      {},
      `GET /${UNKNOWN}`,
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'empty' },
      404,
    ],
    ['a form that sends, if it is listed', LISTED, 'POST /', { ...FORM, Origin: OURS }, 201],
    [
      'a script that receives, which CORS is for',
      LISTED,
      `GET /${UNKNOWN}`,
      { ...FORM, 'Sec-Fetch-Mode': 'cors' },
      404,
    ],
    [
      'a link to the page',
      GUARDED,
      'GET /ID',
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', Authorization: BASIC },
      404,
    ],
    ['a script with a token of its own', GUARDED, 'POST /', { ...FORM, Authorization: 'Bearer secret' }, 201],
  ])('may have %s', async (_what, options, target, headers, status) => {
    expect((await ask(options, target.replace('ID', UNKNOWN), headers)).status).toBe(status)
  })

  test.each<[string, Record<string, string>]>([
    ['a program', {}],
    [
      'the button of its own page',
      { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'navigate', Origin: 'null' },
    ],
    ['the button of its own page, over plain HTTP', { Origin: 'http://localhost', Accept: 'text/html' }],
    ['its own page behind a proxy that ends TLS', { Origin: 'https://localhost', Accept: 'text/html' }],
    ['a person', { 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'navigate' }],
    [
      'a picture on a page of its own',
      { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    ],
  ])('is not %s', async (_who, headers) => {
    for (const options of [{}, LISTED])
      expect((await ask(options, `POST /${UNKNOWN}`, headers)).status).toBe(404)
  })

  test('is not the page under the base URL, where a proxy changes the Host', async () => {
    const headers = { Origin: 'https://send.example', Accept: 'text/html', Host: 'upstream:9000' }
    const options = { baseUrl: 'https://send.example/share' }
    expect((await ask(options, `POST /${UNKNOWN}`, headers)).status).toBe(404)
  })
})
