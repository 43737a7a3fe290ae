import { EssError, ROUTES, withoutUserinfo } from '../../../shared/index.js'
import { VERSION } from '../../../shared/version.js'
import { speaksTls } from '../../http/speaks-tls.js'
import { codeOf } from '../../node/errno-words.js'
import type { Asked, Method } from '../ask.js'
import { type Finding, flaw, note, ok, problem } from '../finding.js'
import { type SeenFront, writtenBy, writtenFront } from '../front.js'
import type { Patient } from '../patient.js'
import { earlyUrl, TRIAL_NAME } from '../trial.js'

/** A clock may be off by this much without harm: our own times to live are minutes. */
const CLOCK_MS = 60_000

/** Is it ESS? */
export async function checkServer(patient: Patient): Promise<Finding> {
  const url = patient.at(ROUTES.health)
  let asked: Asked
  let beganMs: number
  try {
    asked = await patient.ask('GET', url, { accept: 'application/json, application/problem+json' })
    beganMs = performance.now()
  } catch (error) {
    return unreached(error)
  }
  const head = await asked.answer(patient.answerMs * 2)
  if (head === undefined) return await unanswered(patient, asked)
  patient.roundTripMs = performance.now() - beganMs
  await asked.until(() => asked.end, patient.answerMs)
  patient.firstHead = head
  const status = head.statusCode ?? 0
  const { location } = head.headers
  if (location !== undefined && status >= 300 && status < 400) return redirected(patient, location)
  const health = parseHealth(asked.text)
  if (health?.status === 'stopping') return problem('stopping', 'It is ESS, and it is stopping.')
  if (status === 200 && health?.status === 'ok' && (health.relay ?? health.version) !== undefined) {
    patient.version = health.version
    return ok('It is ESS.')
  }
  const refusal = await asked.refusal()
  if (refusal?.code === 'not-found')
    return problem('not-ess', `It is ESS, but it serves nothing at ${withoutUserinfo(patient.server.href)}.`)
  if (refusal !== undefined) return refused(refusal)
  if (patient.front === 'none') patient.front = writtenBy(asked.text)
  const found = `/health was answered with HTTP ${status} (${head.headers['content-type']?.split(';')[0] ?? 'no content type'}).`
  if (
    status === 400 &&
    /plain HTTP request was sent to HTTPS|HTTP request to an HTTPS server/i.test(asked.text)
  )
    return problem('tls-wanted', found)
  if (status === 400 && /No required SSL certificate was sent/.test(asked.text))
    return problem('client-certificate', found)
  if (status === 502 || status === 503 || status === 504 || status === 521)
    return problem('front-alone', found)
  if (status === 401 || status === 403 || status === 407) return problem('front-password', found)
  return problem('not-ess', found)
}

/** An open port, and no answer. */
async function unanswered(patient: Patient, { end, failure }: Asked): Promise<Finding> {
  const closed = 'The connection was closed without an answer.'
  if (/CERTIFICATE_REQUIRED/.test(failure)) return problem('client-certificate', closed)
  if (end === undefined) return problem('not-ess', 'The port is open, but no answer came.')
  if (patient.server.protocol === 'http:' && (await speaksTls(patient.server, patient.signal)))
    return problem('tls-wanted', closed)
  return failure.startsWith('HPE_')
    ? problem('not-ess', 'The answer is no HTTP.')
    : problem('closed-early', closed)
}

function unreached(error: unknown): Finding {
  if (!(error instanceof EssError)) throw error
  if (error.code === 'proxy-failed') return problem('client-proxy', error.message)
  const code = codeOf(error.cause)
  return problem(code === 'ETIMEDOUT' || code === '' ? 'port-silent' : 'port-refused', error.message)
}

function redirected(patient: Patient, location: string): Finding {
  const shown = withoutUserinfo(location).slice(0, 200)
  const to = URL.canParse(location, patient.server.href) ? new URL(location, patient.server.href) : undefined
  const isUpgrade =
    to?.protocol === 'https:' &&
    to.hostname === patient.server.hostname &&
    patient.server.protocol === 'http:'
  return problem(isUpgrade ? 'redirected-https' : 'redirected', `/health is redirected to ${shown}.`)
}

/** The finding for a refusal that any check may meet. */
export function refused(error: EssError): Finding {
  switch (error.code) {
    case 'unauthorized':
      return problem('token-missing', 'The server asks for a token.')
    case 'over-share':
    case 'too-many-requests':
    case 'too-many-sockets':
      return problem('limited', error.message)
    case 'shutting-down':
      return problem('stopping', error.message)
    case 'not-found':
      return problem('servers-many', 'A link that was given a moment ago is not known any more.')
    case 'bad-referer':
      return problem('referer-wanted', 'The server lets only one page reserve links.')
    case 'length-required':
      return problem(
        'expect-swallowed',
        'An upload of unknown length is refused, because its Expect did not arrive.',
      )
    case 'http-version-not-supported':
      return problem('http-1.0', 'The server was asked in HTTP/1.0, and refuses that.')
    case 'proxy-failed':
      return problem('client-proxy', error.message)
    default:
      return problem('transfer-broken', `${error.message} [${error.code}]`)
  }
}

/** Do its clock and ours agree? */
export async function checkClock({ firstHead }: Patient): Promise<Finding> {
  const date = Date.parse(firstHead?.headers.date ?? '')
  if (Number.isNaN(date)) return note('The server does not say what time it is.')
  const offMs = date - Date.now()
  if (Math.abs(offMs) <= CLOCK_MS) return ok("The server's clock agrees with this one.")
  const way = offMs > 0 ? 'ahead of' : 'behind'
  return flaw('clock-off', `The server's clock is ${spanOf(offMs)} ${way} this one.`)
}

function spanOf(ms: number): string {
  const minutes = Math.round(Math.abs(ms) / 60_000)
  if (minutes < 120) return `${minutes} min`
  return minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`
}

/** Is its version ours? */
export async function checkVersion({ version }: Patient): Promise<Finding> {
  if (version === undefined)
    return note(`The server does not tell its version; this is ${VERSION}.`, 'version-other')
  if (version === VERSION) return ok(`${VERSION}, on both sides.`)
  return note(`The server is ${version}, and this client is ${VERSION}.`, 'version-other')
}

/** Does it want a token, and is ours the right one? */
export async function checkToken(patient: Patient): Promise<Finding> {
  const without = await probe(patient, true)
  if (without?.code !== 'unauthorized')
    return without === undefined
      ? note("The server didn't say.")
      : ok(patient.token === undefined ? 'None is asked for.' : 'None is asked for; yours is not needed.')
  if (patient.token === undefined)
    return problem('token-missing', 'The server asks for a token, and there is none here.')
  const withToken = await probe(patient, false)
  return withToken?.code === 'unauthorized'
    ? problem('token-wrong', 'The server asks for a token, and refuses this one.')
    : ok('Asked for, and yours is taken.')
}

/** Do the server's refusals arrive as they are? */
export async function checkRefusals(patient: Patient): Promise<Finding> {
  const isAnonymous = patient.token === undefined
  const [asked, putting, naming] = await Promise.all([
    probing(patient, isAnonymous),
    probing(patient, isAnonymous, 'PUT', patient.at(`/${TRIAL_NAME}`)),
    probing(patient, isAnonymous, 'POST', earlyUrl(patient)),
  ])
  const head = await asked.answer(patient.answerMs)
  const refusal = await asked.refusal()
  if (head === undefined)
    return problem('transfer-broken', 'A request that the server refuses got no answer.')
  if (refusal === undefined) {
    if (head.statusCode === 401 || head.statusCode === 403)
      return problem('front-password', `An upload is refused with HTTP ${head.statusCode}, and not by ESS.`)
    return problem('errors-replaced', `A refusal came as HTTP ${head.statusCode} without the server's words.`)
  }
  if (refusal.code === 'http-version-not-supported') return refused(refusal)
  for (const [probe, what] of [
    [putting, 'An upload by PUT, as of curl -T,'],
    [naming, `An upload with ?filename=${TRIAL_NAME}`],
  ] as const) {
    const status = (await probe.answer(patient.answerMs))?.statusCode
    if ((await probe.refusal()) === undefined)
      return problem('request-refused', `${what} ${refusedBy(status)}.`)
  }
  const written = writtenFront(head)
  if (patient.front === 'none' && written !== 'none') {
    patient.front = written
    if (written === 'haproxy')
      return flaw('haproxy-http', 'The names of the fields came in small letters, as haproxy writes them.')
  }
  return ok(`The server's refusals arrive in its own words${throughWords(patient.front)}.`)
}

/** What became of a request that ESS never saw. */
export function refusedBy(status: number | undefined): string {
  return status === undefined ? 'gets no answer' : `is refused with HTTP ${status}, and not by ESS`
}

function throughWords(front: SeenFront): string {
  if (front === 'none') return ''
  return front === undefined ? ', through a proxy' : `, through ${front}`
}

async function probe(patient: Patient, isAnonymous: boolean): Promise<EssError | undefined> {
  const asked = await probing(patient, isAnonymous)
  await asked.answer(patient.answerMs)
  return await asked.refusal()
}

/** An upload that ESS refuses at once, and after it has looked at the token: it says Content-Range. */
async function probing(
  patient: Patient,
  isAnonymous: boolean,
  method: Method = 'POST',
  url: URL = patient.at(ROUTES.root),
): Promise<Asked> {
  const headers = {
    accept: 'application/problem+json',
    'content-range': 'bytes 0-0/1',
    'content-length': '1',
  }
  const asked = await patient.ask(method, url, headers, { isAnonymous })
  asked.finish('.')
  return asked
}

function parseHealth(text: string): { status?: string; relay?: string; version?: string } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { status, relay, version } = value as Readonly<Record<string, unknown>>
    return {
      ...(typeof status === 'string' && { status }),
      ...(typeof relay === 'string' && { relay }),
      ...(typeof version === 'string' && /^[\w.+-]{1,40}$/.test(version) && { version }),
    }
  } catch {
    return undefined // It is no JSON, so it isn't ours.
  }
}
