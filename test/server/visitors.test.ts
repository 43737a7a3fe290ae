import { describe, expect, test } from 'vitest'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { connectReceiver, openSender, serve } from './serve.js'

const { 'User-Agent': FIREFOX, Accept: WANTS_HTML, 'Accept-Language': _language, ...REST } = BROWSER
const NAVIGATION = { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document', 'Sec-Fetch-Site': 'none' }
const IE = 'Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko'
const OLD_SAFARI =
  'Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10_5_6; en-us) AppleWebKit/525.27.1 (KHTML, like Gecko) Version/3.2.1 Safari/525.27.1'

/** A browser shows a person the page whatever its status; a program that says the same fails with it. */
const PEOPLE: readonly [string, Record<string, string>][] = [
  ['a browser over plain HTTP', BROWSER],
  ['a browser over HTTPS', { ...BROWSER, ...NAVIGATION }],
  ['a browser of which nothing else is known', { ...NAVIGATION }],
  ['a browser that hides its languages', { 'User-Agent': FIREFOX, Accept: WANTS_HTML, ...REST }],
  [
    'Internet Explorer',
    { 'User-Agent': IE, Accept: 'text/html, application/xhtml+xml, */*', 'Accept-Language': 'de' },
  ],
  [
    'an old Safari',
    {
      'User-Agent': OLD_SAFARI,
      Accept:
        'text/xml,application/xml,application/xhtml+xml,text/html;q=0.9,text/plain;q=0.8,image/png,*/*;q=0.5',
      'Accept-Language': 'en-us',
    },
  ],
  [
    'an old Opera',
    {
      'User-Agent': 'Opera/9.80 (X11; Linux x86_64; U; en) Presto/2.12.388 Version/12.16',
      Accept: 'text/html, application/xml;q=0.9, application/xhtml+xml, image/png, */*;q=0.1',
      'Accept-Language': 'en',
    },
  ],
]

const robots = (...agents: readonly string[]) =>
  agents.map((agent): [string, Record<string, string>] => [agent, { 'User-Agent': agent, Accept: '*/*' }])

/** They draw what comes with 200, and nothing else. */
const PREVIEWS = robots(
  'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)',
  'Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)',
  'TelegramBot (like TwitterBot)',
  'WhatsApp/2.23.20.0',
  'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0',
  'Twitterbot/1.0',
  'LinkedInBot/1.0 (compatible; Mozilla/5.0)',
  'Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com',
  'http.rb/5.1.1 (Mastodon/4.2.0; +https://mastodon.example/) Bot',
  'Synapse (bot; +https://github.com/matrix-org/synapse)',
  'Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.app)',
  'Google (+https://developers.google.com/+/web/snippet/)',
)

const ROBOTS = robots(
  'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
  'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
  'Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)',
  'Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)',
  'Nextcloud Server Crawler',
  'SomeChat LinkPreview',
)

const LOOKERS = [
  ...[...PEOPLE, ...ROBOTS].map(([who, headers]) => [who, headers, 406] as const),
  ...PREVIEWS.map(([who, headers]) => [who, headers, 200] as const),
]

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

const LIKE_WGET2 = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const LIKE_JAVA = 'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2'

/** By what they say of themselves, and of what they take. */
const PROGRAMS: readonly [string, Record<string, string>][] = [
  ...[
    'curl/8.5.0',
    'Wget/1.21.4',
    'ess/0.1.0',
    'python-requests/2.31.0',
    'Python-urllib/3.12',
    'python-urllib3/2.8.0',
    'python-httpx/0.28.1',
    'Python/3.11 aiohttp/3.14.5',
    'node',
    'undici',
    'node-fetch/1.0 (+https://github.com/bitinn/node-fetch)',
    'got (https://github.com/sindresorhus/got)',
    'axios/1.7.2',
    'Deno/2.9.6',
    'Bun/1.1',
    'Go-http-client/1.1',
    'Java-http-client/17.0.15',
    'Apache-HttpClient/4.5.14 (Java/17)',
    'okhttp/4.12.0',
    'Ruby',
    'GuzzleHttp/7',
    'reqwest/0.12',
    'Dart/3.4 (dart:io)',
    'libwww-perl/6.68',
    'fetch libfetch/2.0',
    'aria2/1.37.0',
    'lftp/4.9.2',
    'rclone/v1.66.0',
    'HTTPie/3.2.2',
    'xh/0.26.3',
    'Microsoft BITS/7.8',
    'Microsoft-CryptoAPI/10.0',
    'Ansible-httpget',
    '',
  ].map((agent): [string, Record<string, string>] => [agent, { Accept: '*/*' }]),
  ['wget2/1.99.1', { Accept: LIKE_WGET2 }],
  ['Java/17.0.15', { Accept: LIKE_JAVA }],
  // By the name of a browser, as some scripts have it.
  ['Mozilla/5.0', { Accept: LIKE_JAVA }],
  [FIREFOX, { Accept: '*/*', 'Accept-Language': 'en' }],
  [FIREFOX, { Accept: LIKE_WGET2 }],
  ['Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.22631; en-US) PowerShell/7.4.2', { Accept: '*/*' }],
  // A page's script, and what a person saves without opening it.
  [FIREFOX, { ...BROWSER, 'Sec-Fetch-Mode': 'cors' }],
  [FIREFOX, { ...BROWSER, 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'empty' }],
  // A telephone by the name of Cubot.
  ['Mozilla/5.0 (Linux; Android 9; CUBOT X18 Plus Build/O11019) Chrome/99.0', { Accept: '*/*' }],
]

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

test.each(LOOKERS)('%s is shown a page, and consumes nothing', async (_who, headers, status) => {
  const offered = await offer()
  for (let time = 0; time < 2; time++) {
    const page = await exchange(offered.served.port, requestHead(`GET /${offered.sender.id}`, headers))
    expect(page).toMatchObject({
      status,
      headers: {
        // Nor does it go by the file's name.
        'content-disposition': 'inline; filename="download-page.html"',
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
    // Nothing is loaded: the icon is in the page.
    expect(page.body).not.toMatch(/<script|\b(?:src|href)="(?!data:)/i)
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
  expect((await ask({ Range: 'bytes=0-1' })).status).toBe(409)
  await expectUntouched(offered)
})

test.each(UNASKED)('%j is refused, and consumes nothing', async (headers) => {
  const offered = await offer()
  const answer = await exchange(offered.served.port, requestHead(`GET /${offered.sender.id}`, headers))
  expect(answer).toMatchObject({
    status: 403,
    body: expect.stringMatching(
      'Accept' in headers ? /<h1>This link is not for loading ahead of time/ : / \[prefetch\]\n$/,
    ),
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

test.each(PROGRAMS)('%j gets the bytes, with %j', async (agent, says) => {
  const { served, sender } = await offer()
  await sender.write('hello')
  const headers = { 'User-Agent': agent, ...says }
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
  test('shows any name as text', async () => {
    const name = `<script>alert("1")</script>&'$(reboot).txt`
    const { served, sender } = await offer(`PUT /?filename=${encodeURIComponent(name)}`)
    const { body } = await exchange(served.port, requestHead(`GET /${sender.id}`, BROWSER))
    // The name is what follows its last slash, as it is when it is saved.
    expect(body).toContain('<h1>script&#62;&#38;&#39;$(reboot).txt</h1>')
    expect(body).not.toContain('<script')
    // What the shell makes of the line is tested with a shell.
    expect(body).toContain(`<pre>curl -fo &#39;script&#62;&#38;&#39;\\&#39;&#39;$(reboot).txt&#39; &#39;http`)
  })

  test('says when the sender is not there yet, and burns no reservation', async () => {
    const { port, service } = await serve({ reservations: true })
    const reserved = await exchange(port, requestHead('POST /reserve'))
    const path = new URL(reserved.body.split('\n')[0] ?? '').pathname
    const { body } = await exchange(port, requestHead(`GET ${path}`, BROWSER))
    expect(body).toContain('The sender has not started yet.')
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

test('a browser that saves whatever comes gets a reset in place of a refusal', async () => {
  const { port } = await serve()
  const saving = { 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'empty' }
  const peer = await connectRaw(port)
  await peer.write(requestHead('GET /aaaaaaaaaaaa', saving))
  expect(await peer.ending()).toBe('rst')
  expect(peer.text()).toBe('')
  // A page's script reads the refusal.
  const script = { ...saving, 'Sec-Fetch-Site': 'same-origin', Connection: 'close' }
  expect((await exchange(port, requestHead('GET /aaaaaaaaaaaa', script))).status).toBe(404)
  const sender = await openSender(port, { length: 5 })
  await sender.write('hello')
  const receiver = await connectRaw(port)
  await receiver.write(requestHead(`GET /${sender.id}`, saving))
  await receiver.until(/^HTTP\/1\.1 200 [\s\S]*hello$/)
})
