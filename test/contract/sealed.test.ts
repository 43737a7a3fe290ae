import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { SocketInfo } from '../../server/index.js'
import { MAX_SEALED_NOTE } from '../../shared/index.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { until } from '../helpers/within.js'
import { HOSTS } from './hosts.js'
import { listenTo, peersOf } from './peers-of.js'

/** As long as it may be. */
const NOTE = randomBytes((MAX_SEALED_NOTE * 3) / 4).toString('base64url')
const OTHER = randomBytes(30).toString('base64url')
const SEALED = { 'Ess-Sealed': NOTE }
const BUNDLE = { 'Ess-Bundle': 'tar; entries=12' }

/** What a sender that knows no better says in the open; in a form, in the head of its file's part. */
const NAME = 'takeover-plan.pdf'
const TYPE = 'application/x-takeover'
const OPEN_WORDS = { 'Content-Type': TYPE, 'Content-Disposition': `attachment; filename="${NAME}"` }
const TELLTALE = /takeover/

const FORM = `--b\r\nContent-Disposition: form-data; name="f"; filename="${NAME}"\r\nContent-Type: ${TYPE}\r\n\r\nhello\r\n--b--\r\n`
const FORM_FIELDS = {
  'Content-Type': 'multipart/form-data; boundary=b',
  'Content-Length': String(FORM.length),
}
const LAST_PIECE = {
  'Content-Type': 'application/partial-upload',
  'Upload-Offset': '0',
  'Upload-Complete': '?1',
}

/** A request of a sender: its line, its fields, and a body that says hello. */
type Request = readonly [line: string, fields: Readonly<Record<string, string>>, body: string]

const hello = (line: string, fields: Readonly<Record<string, string>> = OPEN_WORDS): Request => [
  line,
  { 'Content-Length': '5', ...fields },
  'hello',
]

const AT_ONCE: Readonly<Record<string, Request>> = {
  'POST /': hello('POST /'),
  'POST / with a name in the query': hello(`POST /?filename=${NAME}`, {}),
  'PUT / with the name': hello(`PUT /${NAME}`),
  'POST / of a form': ['POST /', FORM_FIELDS, FORM],
}

/** UPLOAD is the path of the upload resource. */
const LATER: Readonly<Record<string, Request>> = {
  'PUT to a reservation': hello('PUT UPLOAD'),
  'POST to a reservation': hello('POST UPLOAD'),
  'a form to a reservation': ['POST UPLOAD', FORM_FIELDS, FORM],
  'PATCH to a reservation': hello('PATCH UPLOAD', LAST_PIECE),
}

/** Each way into the service: both versions of HTTP, and a framework at a path and at the root. */
const WAYS_IN = ['ess-server', 'ess-server over HTTP/2', 'Hono at /share', 'Express at /']

describe.each(HOSTS.filter(({ name }) => WAYS_IN.includes(name)))(
  '$name',
  ({ path, scheme, hasApp, start }) => {
    const { open, ask } = peersOf(path)
    const base = `${scheme}://localhost${path}`

    async function send(
      port: number,
      [line, fields, body]: Request,
      more: Readonly<Record<string, string>> = {},
      upload = '',
    ): Promise<RawPeer> {
      const [method, place = ''] = line.replace('UPLOAD', upload).split(' ')
      const peer = await connectRaw(port)
      const wanted = { Accept: 'application/x-ndjson', ...fields, ...more }
      await peer.write(requestHead(`${method} ${path}${place}`, wanted) + body)
      return peer
    }

    async function reserve(port: number, query = '', fields: Readonly<Record<string, string>> = {}) {
      const target = `POST ${path}/reserve${query}`
      const { status, body } = await exchange(
        port,
        requestHead(target, { Accept: 'application/json', ...fields }),
      )
      expect(status, body).toBe(201)
      // Its form is looked at by the tests of reservations.
      const { id, url, upload } = JSON.parse(body) as Record<'id' | 'url' | 'upload', string>
      return { id, url, upload: new URL(upload).pathname.slice(path.length) }
    }

    /** The fields of a head that matter here. */
    const shown = (headers: Readonly<Record<string, string>>) =>
      Object.fromEntries(
        ['content-disposition', 'content-type', 'ess-sealed', 'ess-bundle'].map((name) => [
          name,
          headers[name],
        ]),
      )

    const sealedAs = (id: string) => ({
      'content-disposition': `attachment; filename="${id}.age"`,
      'content-type': 'application/octet-stream',
      'ess-sealed': NOTE,
      'ess-bundle': 'tar; entries=12',
    })

    /** A receiver sees the file sealed by HEAD, on the page, and as it gets it. */
    async function expectSealed(port: number, id: string, expected = sealedAs(id)) {
      const head = await ask(port, `HEAD /${id}/${NAME}`)
      expect(head.status).toBe(200)
      expect(shown(head.headers)).toEqual(expected)
      const page = await ask(port, `GET /${id}`, BROWSER)
      expect(page).toMatchObject({ status: 406, body: expect.stringContaining('<h1>An encrypted file</h1>') })
      expect(page.body).not.toMatch(TELLTALE)
      expect(page.body).toContain('ess get &#39;LINK&#39;')
      expect(page.body).toContain(`age -d -i key.txt -o FILE &#39;${id}.age&#39;`)
      const answer = await ask(port, `GET /${id}`)
      expect(answer).toMatchObject({ status: 200, body: 'hello' })
      expect(shown(answer.headers)).toEqual(expected)
    }

    test.each(Object.entries(AT_ONCE))('%s is passed on sealed, without a name', async (_way, request) => {
      const { port, service } = await start()
      const told = listenTo(service)
      const infos: unknown[] = []
      const note = ({ id, fileName, contentLength }: SocketInfo) =>
        infos.push({ id, fileName, contentLength })
      service?.on('socket:opened', note).on('socket:connected', note).on('socket:end', note)
      const sender = await send(port, request, { ...SEALED, ...BUNDLE })
      const [, id = '', url] = await sender.until(/"event":"opened","v":1,"id":"([^"]+)","url":"([^"]+)"/)
      expect(url).toBe(`${base}/${id}`)
      await expectSealed(port, id)
      await sender.until(/"event":"delivered"/)
      expect(sender.text()).not.toMatch(TELLTALE)
      if (service === undefined) return
      await until('the last event is told', () => told.length === 3)
      expect(infos).toHaveLength(3)
      expect(JSON.stringify(infos)).not.toMatch(TELLTALE)
    })

    test.each(Object.entries(LATER))('%s is passed on sealed, without a name', async (_way, request) => {
      const { port, service } = await start()
      const { id, upload } = await reserve(port)
      const sender = await send(port, request, { ...SEALED, ...BUNDLE }, upload)
      await until('the sender is there', async () => {
        const head = await ask(port, `HEAD /${id}`)
        return head.headers['ess-sealed'] !== undefined
      })
      expect(JSON.stringify(service?.sockets() ?? [])).not.toMatch(TELLTALE)
      await expectSealed(port, id)
      await sender.until(/"event":"delivered"/)
    })

    test.each(Object.entries(LATER))(
      'a reservation says it first, and %s need not say it again',
      async (_way, request) => {
        const { port } = await start()
        const { id, url, upload } = await reserve(port, `?filename=${NAME}`, { ...SEALED, ...BUNDLE })
        expect(url).toBe(`${base}/${id}`)
        expect(shown((await ask(port, `HEAD /${id}`)).headers)).toEqual(sealedAs(id))
        const sender = await send(port, request, {}, upload)
        await until('the sender is there', async () => {
          const head = await ask(port, `HEAD /${id}`)
          return head.headers['content-length'] === '5' || request[2] === FORM
        })
        await expectSealed(port, id)
        await sender.until(/"event":"delivered"/)
      },
    )

    test('a client of the draft reserves it sealed, and sends pieces', async () => {
      const { port } = await start()
      const fields = {
        Accept: 'application/json',
        'Content-Length': '0',
        'Upload-Complete': '?0',
        'Upload-Length': '5',
      }
      const { id, upload } = await reserve(port, '', { ...fields, ...OPEN_WORDS, ...SEALED, ...BUNDLE })
      const piece = {
        'Content-Type': 'application/partial-upload',
        'Upload-Offset': '0',
        'Upload-Complete': '?0',
      }
      const first = await send(port, ['PATCH UPLOAD', { 'Content-Length': '2', ...piece }, 'he'], {}, upload)
      const receiver = connectRaw(port)
      await (await receiver).write(requestHead(`GET ${path}/${id}`))
      await first.until(/ 204 /)
      await (await receiver).until(/\r\n\r\nhe$/)
      const rest = { ...LAST_PIECE, 'Upload-Offset': '2', 'Content-Length': '3' }
      const last = await send(port, ['PATCH UPLOAD', rest, 'llo'], SEALED, upload)
      await (await receiver).until(/\r\n\r\nhello$/)
      ;(await receiver).end()
      await last.until(/ 200 [\s\S]*"delivered"/)
      expect((await receiver).text()).toContain(`${id}.age"`)
      expect((await receiver).text()).not.toMatch(TELLTALE)
    })

    test('the rest after a cut has it too', async () => {
      const { port } = await start()
      const sender = await open(port, {
        length: 5,
        headers: { 'Ess-Resume': 'rewind', ...SEALED, ...BUNDLE },
      })
      const first = await connectRaw(port)
      await first.write(requestHead(`GET ${path}/${sender.id}`))
      await sender.until(/"connected"/)
      await sender.write('he')
      await first.until(/\r\n\r\nhe$/)
      first.reset()
      await sender.until(/"interrupted"/)
      const again = await connectRaw(port)
      await again.write(
        requestHead(`GET ${path}/${sender.id}`, { Range: 'bytes=1-', 'If-Range': `"${sender.id}"` }),
      )
      const [, upload = ''] = await sender.until(/"rewind","offset":1,"upload":"https?:\/\/localhost([^"]+)"/)
      const place = upload.slice(path.length)
      const rest = { ...LAST_PIECE, 'Upload-Offset': '1', 'Content-Length': '4' }
      const other = await send(port, ['PATCH UPLOAD', rest, ''], { 'Ess-Sealed': OTHER }, place)
      await other.until(/^HTTP\/1\.1 400 /)
      const last = await send(port, ['PATCH UPLOAD', rest, 'ello'], SEALED, place)
      await again.until(/^HTTP\/1\.1 206 [\s\S]*\r\n\r\nello$/)
      again.end()
      const head = Object.fromEntries(
        again
          .text()
          .split('\r\n')
          .map((line) => line.split(/: (.*)/s))
          .map(([name = '', value = '']) => [name.toLowerCase(), value]),
      )
      expect(shown(head)).toEqual(sealedAs(sender.id))
      await last.until(/"delivered"/)
    })

    test.each([
      ['empty', { 'Ess-Sealed': '' }],
      ['padded', { 'Ess-Sealed': 'YQ==' }],
      ['base64', { 'Ess-Sealed': 'a+b/' }],
      ['of a length that no bytes have', { 'Ess-Sealed': 'abcde' }],
      ['said twice', { 'Ess-Sealed': 'YWJj, YWJj' }],
      ['too long', { 'Ess-Sealed': `${NOTE}AA` }],
      ['another kind', { 'Ess-Bundle': 'zip;entries=3' }],
      ['without a number', { 'Ess-Bundle': 'tar' }],
      ['negative', { 'Ess-Bundle': 'tar;entries=-1' }],
      ['too large', { 'Ess-Bundle': 'tar;entries=1234567890' }],
    ])('a field that is %s is refused before the body', async (_how, fields) => {
      const { port } = await start()
      const { upload } = await reserve(port)
      for (const [line, own] of [
        ...Object.values(AT_ONCE),
        ...Object.values(LATER),
        ['POST /reserve', {}],
      ] as const) {
        // A sender that waits for its 100 gets none.
        const peer = await send(
          port,
          [line, own, ''],
          { ...fields, ...(line !== 'POST /reserve' && { Expect: '100-continue' }) },
          upload,
        )
        await peer.until(/The field Ess-[\s\S]*\[bad-request\]/)
        // Some hosts send it by themselves.
        if (!hasApp) expect(peer.text()).toMatch(/^HTTP\/1\.1 400 /)
        peer.reset()
      }
    })

    test('what a reservation said of it holds', async () => {
      const { port } = await start()
      const sealed = await reserve(port, '', SEALED)
      const bundle = await reserve(port, '', BUNDLE)
      const refused = [
        [sealed, { 'Ess-Sealed': OTHER }],
        [sealed, BUNDLE],
        [bundle, SEALED],
        [bundle, { 'Ess-Bundle': 'tar; entries=13' }],
      ] as const
      for (const [{ upload }, fields] of refused) {
        const peer = await send(port, ['PUT UPLOAD', { 'Content-Length': '5' }, ''], fields, upload)
        await peer.until(/^HTTP\/1\.1 400 [\s\S]*Send the same again, or neither\. \[bad-request\]/)
      }
      const sender = await send(port, hello('PUT UPLOAD'), SEALED, sealed.upload)
      expect(await ask(port, `GET /${sealed.id}`)).toMatchObject({ status: 200, body: 'hello' })
      await sender.until(/"delivered"/)
    })

    test('HEAD waits for a sender, to see whether its file is sealed', async () => {
      const { port } = await start()
      const { id, upload } = await reserve(port)
      const looking = await connectRaw(port)
      await looking.write(requestHead(`HEAD ${path}/${id}?wait=60`))
      const follower = await connectRaw(port)
      await follower.write(requestHead(`GET ${path}${upload}/events`))
      await follower.until(/reserved/)
      expect(looking.text()).toBe('')
      const sender = await send(port, hello('PUT UPLOAD'), SEALED, upload)
      await looking.until(/^HTTP\/1\.1 200 [\s\S]*ess-sealed: [\s\S]*\r\n\r\n/i)
      expect(await ask(port, `GET /${id}`)).toMatchObject({ status: 200, body: 'hello' })
      await sender.until(/"delivered"/)
    })

    test('a bundle keeps its name and type, and its page says what it is', async () => {
      const { port } = await start()
      const request = hello('PUT /photos.tar', { 'Content-Type': 'application/x-tar', ...BUNDLE })
      const sender = await send(port, request)
      const [, id = ''] = await sender.until(/"id":"([^"]+)"/)
      const page = await ask(port, `GET /${id}`, BROWSER)
      expect(page.body).toContain('Several files or a folder, as one tar.')
      expect(page.body).toContain(`curl -f &#39;${base}/${id}/photos.tar&#39; | tar x`)
      const answer = await ask(port, `GET /${id}`)
      expect(shown(answer.headers)).toEqual({
        'content-disposition': 'attachment; filename="photos.tar"',
        'content-type': 'application/x-tar',
        'ess-sealed': undefined,
        'ess-bundle': 'tar; entries=12',
      })
      await sender.until(/"delivered"/)
    })

    test('the longest note leaves room for the head in 4 KiB, which some proxies need', async () => {
      const { port } = await start()
      const sender = await send(port, hello('POST /'), { ...SEALED, ...BUNDLE, 'Ess-Resume': 'rewind' })
      const [, id = ''] = await sender.until(/"id":"([^"]+)"/)
      const receiver = await connectRaw(port)
      await receiver.write(requestHead(`GET ${path}/${id}`))
      await receiver.until(/hello$/)
      receiver.end()
      expect(receiver.text().indexOf('\r\n\r\n')).toBeLessThan(4 * 1024)
      await sender.until(/"delivered"/)
    })

    test('pages of other origins may send and read both', async () => {
      const { port } = await start()
      const preflight = await ask(port, 'OPTIONS /', {
        Origin: 'https://app.example.org',
        'Access-Control-Request-Method': 'PUT',
      })
      expect(preflight.headers['access-control-allow-headers']).toMatch(/\bEss-Sealed, Ess-Bundle\b/)
      const sender = await send(port, hello('POST /'), SEALED)
      const [, id = ''] = await sender.until(/"id":"([^"]+)"/)
      const { headers } = await ask(port, `HEAD /${id}`, { Origin: 'https://app.example.org' })
      expect(headers['access-control-expose-headers']).toMatch(/\bEss-Sealed, Ess-Bundle\b/)
    })
  },
)
