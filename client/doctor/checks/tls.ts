import {
  type ConnectionOptions,
  checkServerIdentity,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type TLSSocket,
} from 'node:tls'
import { EssError } from '../../../shared/index.js'
import { connectTo } from '../../http/connect.js'
import { codeOf } from '../../node/errno-words.js'
import { type Finding, flaw, note, ok, problem } from '../finding.js'
import { isLoopback } from '../loopback.js'
import type { Patient } from '../patient.js'
import { hostOf } from './reach.js'

const DAY_MS = 86_400_000
/** Let's Encrypt renews a month before the end; two weeks before it, something has gone wrong. */
const SOON_DAYS = 14
const PROTOCOLS = ['h2', 'http/1.1']

/** Can the certificate be trusted, and for how long? */
export async function checkTls(patient: Patient): Promise<Finding> {
  const { server } = patient
  if (server.protocol !== 'https:') {
    return isLoopback(server)
      ? ok('None, and none is needed on this machine.')
      : note('None: what is sent can be read on the way.')
  }
  let socket: TLSSocket
  try {
    socket = await handshake(patient, {})
  } catch (error) {
    return await handshakeTrouble(patient, error)
  }
  const certificate = socket.getPeerCertificate(true)
  const trouble = socket.authorized ? undefined : String(socket.authorizationError)
  patient.protocol = socket.alpnProtocol
  const version = socket.getProtocol() ?? 'TLS'
  socket.destroy()
  const days = Math.floor((Date.parse(certificate.valid_to) - Date.now()) / DAY_MS)
  const finding =
    (trouble !== undefined && certificateTrouble(trouble, certificate)) || wrongName(patient, certificate)
  if (finding) return finding
  if (days < SOON_DAYS)
    return flaw(
      'tls-soon',
      `The certificate expires in ${days === 1 ? '1 day' : `${Math.max(0, days)} days`} (${certificate.valid_to}).`,
    )
  return ok(`${version}; the certificate is good for ${days} more days.`)
}

/** Connects by TLS, whatever the certificate is worth. */
async function handshake(patient: Patient, tls: ConnectionOptions): Promise<TLSSocket> {
  const { socket } = await connectTo(patient.server, patient.signal, undefined, {
    rejectUnauthorized: false,
    ALPNProtocols: PROTOCOLS,
    ...tls,
  })
  // An https URL gives nothing else.
  return socket as TLSSocket
}

function wrongName(patient: Patient, certificate: PeerCertificate): Finding | undefined {
  const host = hostOf(patient)
  if (checkServerIdentity(host, certificate) === undefined) return undefined
  const names = (certificate.subjectaltname ?? `CN:${certificate.subject?.CN ?? 'nothing'}`)
    .replaceAll(/\b(?:DNS|IP Address|CN):/g, '')
    .split(/,\s*/)
  const more = names.length > 4 ? ` and ${names.length - 4} more` : ''
  return problem(
    'tls-name',
    `The certificate is for ${names.slice(0, 4).join(', ')}${more}, not for ${host}.`,
  )
}

function certificateTrouble(code: string, certificate: DetailedPeerCertificate): Finding | undefined {
  const { issuer, valid_to, valid_from } = certificate
  const authority = nameOf(issuer)
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return problem('tls-expired', `The certificate expired on ${valid_to}.`)
    case 'CERT_NOT_YET_VALID':
      return problem('tls-early', `The certificate begins on ${valid_from}.`)
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return problem('tls-self-signed', `The certificate is from ${authority}, which is no known authority.`)
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_GET_ISSUER_CERT':
      return unverified(certificate, authority)
    // Its own check names the names.
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return undefined
    default:
      return code.startsWith('Hostname/IP') || code.includes('ALTNAME')
        ? undefined
        : problem('tls-failed', `The certificate can't be trusted (${code}).`)
  }
}

function nameOf(authority: PeerCertificate['issuer'] | undefined): string {
  return [authority?.O ?? authority?.CN ?? 'an unnamed authority'].flat().join(' ')
}

/** What was sent ends below a root that this machine doesn't know, or lacks what leads to one. */
function unverified(certificate: DetailedPeerCertificate, authority: string): Finding {
  const above: DetailedPeerCertificate | undefined = certificate.issuerCertificate
  if (above === undefined)
    return problem('tls-chain', `The certificate of ${authority}, which signed this one, is missing.`)
  let last = above
  // A root is its own issuer.
  while (last.issuerCertificate !== undefined && last.issuerCertificate !== last)
    last = last.issuerCertificate
  const root = nameOf(last.issuer)
  return problem('tls-self-signed', `The certificate goes back to ${root}, which is no known authority.`)
}

async function handshakeTrouble(patient: Patient, error: unknown): Promise<Finding> {
  if (error instanceof EssError && error.code === 'proxy-failed')
    return problem('client-proxy', error.message)
  const code = codeOf(error instanceof EssError ? error.cause : error)
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(code))
    return problem('tls-plain', 'The answer to the TLS handshake is no TLS.')
  if (/CERTIFICATE_REQUIRED/.test(code))
    return problem('client-certificate', 'The TLS handshake was refused.')
  // Another handshake, with all that OpenSSL still knows, tells an old version from anything else.
  const old = await handshake(patient, { minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }).catch(
    () => undefined,
  )
  if (old === undefined) return problem('tls-failed', error instanceof Error ? error.message : String(error))
  const version = old.getProtocol() ?? 'an old version'
  old.destroy()
  return problem('tls-old', `The server speaks ${version}.`)
}
