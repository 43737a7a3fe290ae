import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { EssError, fromProblem, ROUTES } from '../../../shared/index.js'
import { connectTo } from '../../http/connect.js'
import { Bell } from '../bell.js'
import { type Finding, flaw, ok } from '../finding.js'
import { credentials, type Patient } from '../patient.js'
import { earlyUrl, uploadFields } from '../trial.js'

/** Does HTTP/2 work, which browsers and curl choose wherever it is offered? */
export async function checkHttp2(patient: Patient): Promise<Finding> {
  if (patient.protocol === undefined) return ok('Not without TLS; nothing needs it.')
  if (patient.protocol !== 'h2') return ok('Not offered; nothing needs it.')
  const session = await openSession(patient)
  try {
    const health = await ask(patient, session, 'GET', patient.at(ROUTES.health), {})
    if (health === undefined)
      return flaw('http2-broken', 'HTTP/2 is offered, and a request by it got no answer.')
    if (health[':status'] !== 200)
      return flaw('http2-broken', `By HTTP/2, /health was answered with HTTP ${health[':status']}.`)
    if (patient.way === 'reserved') return ok(OFFERED)
    return await checkUpload(patient, session)
  } finally {
    session.destroy()
  }
}

const OFFERED = 'Offered to browsers and curl, and works; ess speaks HTTP/1.1.'

/** An upload of unknown length has no `Expect` and no length by HTTP/2, unlike by HTTP/1.1. */
async function checkUpload(patient: Patient, session: ClientHttp2Session): Promise<Finding> {
  const { accept = '', 'content-type': type = '' } = uploadFields(undefined)
  let text = ''
  const bell = new Bell()
  const upload = begin(patient, session, 'POST', earlyUrl(patient), { accept, 'content-type': type })
  upload.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
    bell.ring()
  })
  const head = await answer(upload, patient)
  const refusal = await bell.until(() => {
    if (head === undefined || head[':status'] === 201) return 'none'
    return fromProblem(parseJson(text), 'bad-request')
  }, patient.answerMs)
  upload.close()
  if (refusal instanceof EssError && refusal.code === 'length-required')
    return flaw('http2-lengths', 'An upload of unknown length by HTTP/2, such as curl -T -, is refused.')
  return head === undefined
    ? flaw('http2-broken', 'An upload by HTTP/2 got no answer before its body.')
    : ok(OFFERED)
}

async function openSession(patient: Patient): Promise<ClientHttp2Session> {
  const { socket } = await connectTo(patient.server, patient.signal, undefined, { ALPNProtocols: ['h2'] })
  const session = connect(patient.server.origin, { createConnection: () => socket })
  // A stream that gets no answer is how it shows.
  return session.on('error', () => {})
}

function begin(
  patient: Patient,
  session: ClientHttp2Session,
  method: string,
  url: URL,
  fields: OutgoingHttpHeaders,
): ClientHttp2Stream {
  const head = { ':method': method, ':path': url.pathname + url.search }
  const own = credentials(url, patient.server, patient.token)
  const stream = session.request({ ...head, ...own, ...fields }, { endStream: method === 'GET' })
  return stream.on('error', () => {}) // It closes, too.
}

async function ask(
  patient: Patient,
  session: ClientHttp2Session,
  method: string,
  url: URL,
  fields: OutgoingHttpHeaders,
): Promise<Head | undefined> {
  const stream = begin(patient, session, method, url, fields)
  const head = await answer(stream, patient)
  stream.close()
  return head
}

type Head = IncomingHttpHeaders & IncomingHttpStatusHeader

/** The head of the answer; undefined if none comes in time. */
async function answer(stream: ClientHttp2Stream, patient: Patient): Promise<Head | undefined> {
  let head: Head | undefined
  const bell = new Bell()
  stream.once('response', (fields) => {
    head = fields
    bell.ring()
  })
  stream.once('close', () => bell.ring())
  await bell.until(() => head !== undefined || stream.closed || stream.destroyed, patient.answerMs)
  return head
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Not all of it is here yet.
  }
}
