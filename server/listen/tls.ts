import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, DEFAULT_CIPHERS, type SecureContextOptions } from 'node:tls'
import type { FlagValues } from '../broker/option-kinds.js'
import { readTrouble } from '../node/errno-words.js'
import { FileWatch } from '../node/file-watch.js'

/** The oldest TLS that may be asked for. */
export type TlsVersion = FlagValues['TLS version']

/** The options for TLS. Both files are PEM, and are read again when they change. */
export interface TlsOptions {
  /** The certificate, followed by the rest of its chain. */
  readonly certFile: string
  /** Its private key, without a passphrase. */
  readonly keyFile: string
  /** The oldest version that is spoken. Default: 1.2. With 1.3, clients from before 2018 can't connect. */
  readonly minVersion?: TlsVersion
  /**
   * Seconds for which browsers should use HTTPS alone for this host (Strict-Transport-Security). Default: 30 days. It
   * is sent only if the server is reached by a name and on port 443, because it applies to every port of the host.
   * Going back to plain HTTP takes that long; 0 makes browsers forget it.
   */
  readonly hstsMaxAge?: number
  /** Called after each reading but the first. If `isTaken` is false, the old pair stays in use. */
  readonly onReload?: (report: CertificateReport, isTaken: boolean) => void
}

/** The facts about a certificate and its key. */
export interface CertificateReport {
  /** Such as `CN=send.example.org`; empty if the certificate names none or can't be read. */
  readonly subject: string
  /** The hosts that it is for, as the certificate writes them: `DNS:send.example.org`. */
  readonly names: readonly string[]
  readonly notAfter: Date | undefined
  /** True between its two dates. */
  readonly isInTime: boolean
  /** The problems, one line each, for people; empty if all is well. */
  readonly problems: readonly string[]
  /** False if the pair can't be used at all. */
  readonly isUsable: boolean
}

/** The pair as Node takes it. It contains the key: never show it. */
export type Pair = SecureContextOptions

/** The certificate of a server: read, watched, and read again. */
export interface Certificate {
  /** What is said of the pair in use. */
  report(): CertificateReport
  /** Hands the pair to `take`, and each later one that replaces it. */
  use(take: (pair: Pair) => void): void
  /** Reads both files again, whether they have changed or not, and takes them if they are good. */
  reload(): Promise<void>
  /** Watches the files no more. */
  close(): void
}

/**
 * Mozilla's "intermediate" list (Server Side TLS 5.7): each cipher is authenticated and has forward secrecy. It
 * leaves out finite-field Diffie-Hellman, which needs parameters and serves only clients from before 2014. The
 * server's order counts: a byte costs a quarter less with a 128-bit key than with 256.
 */
const INTERMEDIATE = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** If you started Node with `--tls-cipher-list`, your list is used. */
const CIPHERS = DEFAULT_CIPHERS === constants.defaultCoreCipherList ? INTERMEDIATE : DEFAULT_CIPHERS

/**
 * The curves of Mozilla's list. Where OpenSSL knows it (3.5), the one that withstands quantum computers comes first.
 */
const CURVES = ['X25519MLKEM768:X25519:prime256v1:secp384r1', 'X25519:prime256v1:secp384r1'].find(knowsCurves)

/** Reads a pair and judges it. Never rejects: any trouble is in `problems`. */
export async function checkCertificate(options: TlsOptions): Promise<CertificateReport> {
  return (await readPair(options)).report
}

function knowsCurves(ecdhCurve: string): boolean {
  try {
    createSecureContext({ ecdhCurve })
    return true
  } catch {
    // OpenSSL refuses a list with an unknown name.
    return false
  }
}

/** One line about a certificate, for the operator. */
export function certificateInWords({ subject, names, notAfter, problems }: CertificateReport): string {
  const whose = [subject, ...names].filter((name) => name !== '').join(', ')
  const until = notAfter && `valid until ${notAfter.toISOString()}`
  const facts = [whose, until].filter(Boolean).join('; ')
  return [facts, ...problems].filter(Boolean).join('. ')
}

/** Reads both files. `pair` is undefined if the pair can't be used. */
async function readPair(
  options: TlsOptions,
): Promise<{ readonly report: CertificateReport; readonly pair: Pair | undefined }> {
  const { certFile, keyFile, minVersion = '1.2' } = options
  const problems: string[] = []
  const cert = await readText(certFile, problems)
  const key = await readText(keyFile, problems)
  const chain = cert === undefined ? [] : readChain(cert, certFile, problems)
  const privateKey = key === undefined ? undefined : readKey(key, keyFile, problems)
  const [leaf] = chain
  if (leaf === undefined) {
    const nothing = { subject: '', names: [], notAfter: undefined, isInTime: false, isUsable: false }
    return { report: { ...nothing, problems }, pair: undefined }
  }
  const isPair = privateKey !== undefined && leaf.checkPrivateKey(privateKey)
  if (privateKey !== undefined && !isPair)
    problems.push(`The key in ${keyFile} does not belong to the certificate in ${certFile}.`)
  const pair = {
    cert,
    key,
    ciphers: CIPHERS,
    minVersion: `TLSv${minVersion}`,
    ...(CURVES !== undefined && { ecdhCurve: CURVES }),
  } as const
  const cannot = (reason: string) =>
    `The certificate in ${certFile} and the key in ${keyFile} cannot be used: ${reason}. Get a new certificate.`
  const isUsable = isPair && tried(problems, cannot, () => createSecureContext(pair)) !== undefined
  const report = {
    subject: leaf.subject?.replaceAll('\n', ', ') ?? '',
    names: leaf.subjectAltName?.split(', ') ?? [],
    notAfter: new Date(leaf.validTo),
    isInTime: checkDates(leaf, certFile, problems),
    problems: [...problems, ...disorderOf(chain, certFile)],
    isUsable,
  }
  return { report, pair: isUsable ? pair : undefined }
}

/**
 * Reads a pair and keeps it up to date. Rejects, saying why, when it is of no use; one that is out of date is
 * served all the same, since clients will say so.
 */
export async function watchCertificate(options: TlsOptions): Promise<Certificate> {
  const watch = new FileWatch([options.certFile, options.keyFile])
  const first = await watch.read(() => readPair(options))
  if (first.pair === undefined) throw new Error(first.report.problems.join(' '))
  let current = { report: first.report, pair: first.pair }
  const takers = new Set<(pair: Pair) => void>()

  async function read(): Promise<void> {
    const { report, pair } = await readPair(options)
    // A pair that nobody would accept does not replace one that they do.
    const isTaken = pair !== undefined && (report.isInTime || !current.report.isInTime)
    if (isTaken) {
      current = { report, pair }
      for (const take of takers) take(pair)
    }
    options.onReload?.(report, isTaken)
  }

  const reload = () => watch.read(read)
  watch.start(reload)
  return {
    report: () => current.report,
    use: (take) => {
      takers.add(take)
      take(current.pair)
    },
    reload,
    close: () => watch.close(),
  }
}

async function readText(path: string, problems: string[]): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    problems.push(`Cannot read ${path}: ${readTrouble(error)}. Check its path and who may read it.`)
    return undefined
  }
}

function readChain(pem: string, path: string, problems: string[]): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) problems.push(`There is no certificate in ${path}. It should be a PEM file.`)
  const parse = () => blocks.map((block) => new X509Certificate(block))
  return tried(problems, () => `A certificate in ${path} is damaged. Copy it again.`, parse) ?? []
}

function readKey(pem: string, path: string, problems: string[]): KeyObject | undefined {
  if (/ENCRYPTED/.test(pem)) {
    problems.push(`The key in ${path} has a passphrase. Take it off: openssl pkey -in ${path} -out NEW.pem`)
    return undefined
  }
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    problems.push(`There is no private key in ${path}. It should be a PEM file.`)
    return undefined
  }
  return tried(
    problems,
    () => `The private key in ${path} is damaged. Copy it again.`,
    () => createPrivateKey(pem),
  )
}

/** Checks the certificate's dates. Adds a problem if it is not valid now. */
function checkDates({ validFrom, validTo }: X509Certificate, path: string, problems: string[]): boolean {
  const now = Date.now()
  if (now > Date.parse(validTo)) problems.push(`The certificate in ${path} expired on ${validTo}. Renew it.`)
  else if (now < Date.parse(validFrom))
    problems.push(
      `The certificate in ${path} is not valid before ${validFrom}. Check the clock of this machine.`,
    )
  else return true
  return false
}

/** Each certificate should be issued by the next one (RFC 8446, 4.4.2); some clients look no further. */
function disorderOf(chain: readonly X509Certificate[], path: string): string[] {
  const isInOrder = chain.every((one, index) => {
    const issuer = chain[index + 1]
    return issuer === undefined || one.checkIssued(issuer)
  })
  return isInOrder ? [] : [`The certificates in ${path} are out of order. Put each one before its issuer.`]
}

/**
 * Returns the result of `work`. If it throws, adds a problem and returns undefined. `words` get OpenSSL's reason, such as
 * `ee key too small`, without its numbers and its own places. It never contains any part of a key.
 */
function tried<T>(problems: string[], words: (reason: string) => string, work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    problems.push(words(message.replace(/^error:.*:/, '')))
    return undefined
  }
}
