import { describe, expect, test } from 'vitest'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { connectReceiver, openSender, serve } from './serve.js'

/** As Firefox says it; Chromium's is much the same. */
const BROWSER = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }

const LOOKERS = [
  ['a browser', BROWSER],
  ...[
    'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)',
    'Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)',
    'TelegramBot (like TwitterBot)',
    'WhatsApp/2.23.20.0',
    'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
    'Twitterbot/1.0',
    'LinkedInBot/1.0 (compatible; Mozilla/5.0)',
    'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
  ].map((agent): [string, Record<string, string>] => [agent, { 'User-Agent': agent, Accept: '*/*' }]),
] satisfies [string, Record<string, string>][]

const UNASKED: readonly Record<string, string>[] = [
  { 'Sec-Purpose': 'prefetch' },
  { 'Sec-Purpose': 'prefetch;prerender' },
  { Purpose: 'prefetch' },
  { 'X-Purpose': 'preview' },
  { 'X-Moz': 'prefetch' },
  { ...BROWSER, 'Sec-Purpose': 'prefetch' },
  { 'Service-Worker': 'script' },
  { 'Sec-Fetch-Dest': 'serviceworker' },
]

const FETCHERS = [
  'curl/8.5.0',
  'Wget/1.21.4',
  'wget2/2.1.0',
  'ess/0.1.0',
  'python-requests/2.31.0',
  'Python-urllib/3.12',
  'node',
  'got (https://github.com/sindresorhus/got)',
  'Go-http-client/1.1',
  'aria2/1.37.0',
  'HTTPie/3.2.2',
  '',
] as const

/** A sender whose file is there for the next who asks. */
async function offer(target = 'PUT /notes.txt') {
  const served = await serve()
  return { served, sender: await openSender(served.port, { target, length: 5 }) }
}

/** The file has not been used up: a receiver still gets it. */
async function expectUntouched({ served, sender }: Awaited<ReturnType<typeof offer>>): Promise<void> {
  expect(served.service.sockets()).toMatchObject([{ phase: 'waiting' }])
  const receiver = await connectReceiver(served.port, sender)
  await sender.write('hello')
  await receiver.until(/hello$/)
  receiver.end()
  await sender.until(/"delivered"/)
}

test.each(LOOKERS)('%s is shown a page, and consumes nothing', async (_who, headers) => {
  const offered = await offer()
  for (let time = 0; time < 2; time++) {
    const page = await exchange(offered.served.port, requestHead(`GET /${offered.sender.id}`, headers))
    expect(page).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': expect.stringMatching(
          /^default-src 'none'; .*form-action 'self'; frame-ancestors 'none'/,
        ),
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'same-origin',
        'x-robots-tag': 'none',
        'cache-control': 'no-store',
      },
    })
    expect(page.body).toContain('<h1>notes.txt</h1>')
    expect(page.body).toContain('5 B')
    expect(page.body).toContain('<form method="post"><button>')
    expect(page.body).toContain(`${offered.sender.id}/notes.txt`)
    expect(page.body).not.toMatch(/<script|\bsrc=|\bhref=/i)
  }
  await expectUntouched(offered)
})

test('a part that a robot asks for is the page, and a part that a program asks for is refused', async () => {
  const offered = await offer()
  const ask = (headers: Record<string, string>) =>
    exchange(offered.served.port, requestHead(`GET /${offered.sender.id}`, headers))
  for (const Range of ['bytes=0-1', 'bytes=0-', 'bytes=-1']) {
    const page = await ask({ 'User-Agent': 'Twitterbot/1.0', Range })
    expect(page).toMatchObject({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } })
  }
  expect((await ask({ Range: 'bytes=0-1' })).status).toBe(416)
  await expectUntouched(offered)
})

test.each(UNASKED)('%j is refused, and consumes nothing', async (headers) => {
  const offered = await offer()
  const answer = await exchange(offered.served.port, requestHead(`GET /${offered.sender.id}`, headers))
  expect(answer).toMatchObject({
    status: 403,
    body: expect.stringMatching('Accept' in headers ? /<h1>A link that works once/ : /^prefetch: /),
  })
  await expectUntouched(offered)
})

test.each([{}, BROWSER, { 'User-Agent': 'Twitterbot/1.0' }])(
  'HEAD with %j consumes nothing',
  async (headers) => {
    const offered = await offer()
    const answer = await exchange(offered.served.port, requestHead(`HEAD /${offered.sender.id}`, headers))
    expect(answer).toMatchObject({ status: 200, body: '', headers: { 'content-length': '5' } })
    await expectUntouched(offered)
  },
)

test.each(FETCHERS)('%j gets the bytes', async (agent) => {
  const { served, sender } = await offer()
  await sender.write('hello')
  const headers = { 'User-Agent': agent, Accept: '*/*' }
  expect(await exchange(served.port, requestHead(`GET /${sender.id}`, headers))).toMatchObject({
    status: 200,
    body: 'hello',
    headers: { 'content-disposition': 'attachment; filename="notes.txt"' },
  })
})

test.each(['', '/notes.txt'])(
  'the button, a POST to /ID%s, gets the bytes in a browser too',
  async (name) => {
    const { served, sender } = await offer()
    await sender.write('hello')
    const request = requestHead(`POST /${sender.id}${name}`, {
      ...BROWSER,
      'Content-Type': 'application/x-www-form-urlencoded',
      'Content-Length': '0',
    })
    expect(await exchange(served.port, request)).toMatchObject({ status: 200, body: 'hello' })
    await sender.until(/"delivered"/)
  },
)

describe('the page', () => {
  test('shows a name as text, whatever stands in it', async () => {
    const name = `<script>alert("1")</script>&'$(reboot).txt`
    const { served, sender } = await offer(`PUT /?filename=${encodeURIComponent(name)}`)
    const { body } = await exchange(served.port, requestHead(`GET /${sender.id}`, BROWSER))
    // The name is what follows its last slash, as it is when it is saved.
    expect(body).toContain('<h1>script&#62;&#38;&#39;$(reboot).txt</h1>')
    expect(body).not.toContain('<script')
    // A quote in the shell's line would end its own.
    expect(/<pre>curl -fOJ &#39;([^&]*)&#39;<\/pre>/.exec(body)?.[1]).not.toContain("'")
  })

  test('says when the sender is not there yet, and burns no reservation', async () => {
    const { port, service } = await serve({ reservations: true })
    const reserved = await exchange(port, requestHead('POST /reserve'))
    const path = new URL(reserved.body.split('\n')[0] ?? '').pathname
    const { body } = await exchange(port, requestHead(`GET ${path}`, BROWSER))
    expect(body).toContain('The sender is not there yet.')
    expect(service.sockets()).toMatchObject([{ phase: 'reserved' }])
  })

  test.each([
    ['/abcdefghijkl', 404],
    ['/short', 404],
  ])('of %s is a problem', async (path, status) => {
    const { port } = await serve()
    expect((await exchange(port, requestHead(`GET ${path}`, BROWSER))).status).toBe(status)
  })
})
