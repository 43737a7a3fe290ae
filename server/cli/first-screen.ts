import { networkInterfaces } from 'node:os'
import { quoteForShell } from '../../shared/shell-word.js'
import { receiveWithCurl, receiveWithEss, sendWithCurl, sendWithEss, type Terms } from '../answer/how-to.js'
import { hasPageScripts } from '../answer/page.js'
import { OPTIONS } from '../broker/option-table.js'
import type { Listening } from '../listen/listen.js'
import { isExposed } from '../ops/exposure.js'
import type { Flags } from './flags.js'

/** How many addresses of this machine are shown. Containers and VPNs add many. */
const MAX_ADDRESSES = 4

/** The options that decide what the screen says. */
type Shown = Pick<
  Flags,
  | 'host'
  | 'open'
  | 'baseUrl'
  | 'trustProxy'
  | 'sendTokens'
  | 'receiveTokens'
  | 'earlyResponse'
  | 'proxyFullDuplex'
  | 'proxyHidesCuts'
  | 'web'
>

/** What a person who has typed `ess-server` and `argv` on a terminal does next, on one screen. */
export async function firstScreen(server: Listening, flags: Shown, argv: readonly string[]): Promise<string> {
  const isPublic = await isExposed(flags.host)
  const urls = isPublic ? publicUrls(server) : [server.url]
  const base = (flags.baseUrl ?? urls[0] ?? server.url).replace(/\/+$/, '')
  const terms: Terms = {
    base,
    mustReserve: !flags.earlyResponse || flags.proxyHidesCuts,
    needsTokenToSend: flags.sendTokens !== undefined,
    needsTokenToReceive: flags.receiveTokens !== undefined,
  }
  const usual = `http://${OPTIONS.host.default}:${OPTIONS.port.default}`
  const ess = sendWithEss(terms, base === usual ? undefined : base)
  const { words, lines } = sendWithCurl(terms)
  const send = terms.mustReserve
    ? `:\n\n${indented([ess])}\n\n${words.replace('Send', 'Or with curl,')}\n\n${indented(lines)}`
    : ` (both print the link at once; leave them running):\n\n${indented([ess, ...lines.slice(0, 1)])}`
  const byPage = flags.web && hasPageScripts() ? `\n\nOr open ${base} in a browser.` : ''
  return `
Send a file${isPublic || flags.baseUrl !== undefined ? '' : ' from this machine'}${send}${byPage}

Receive it, with the LINK that the sender prints:

${indented([receiveWithEss('LINK', terms), receiveWithCurl('LINK', terms)])}

${isPublic ? othersReachIt(urls, flags) : isBehindProxy(flags) ? proxyReachesIt(flags) : othersCannot(flags, argv)}
Ctrl-C stops the server. ess-server --help shows all options.
`
}

/** The server's URLs at the addresses by which other machines reach it, IPv4 first. */
function publicUrls({ url, port, certificate }: Listening): string[] {
  const { protocol, hostname } = new URL(url)
  // A client would refuse the certificate at an address that it doesn't name.
  const name = certificate?.names.find((one) => /^DNS:[^*]+$/.test(one))?.slice('DNS:'.length)
  if (name !== undefined) return [`${protocol}//${name}${port === 443 ? '' : `:${port}`}`]
  if (hostname !== '0.0.0.0' && hostname !== '[::]') return [url]
  return addresses(hostname === '[::]').map((address) => `${protocol}//${address}:${port}`)
}

/** This machine's addresses that other machines may reach. A link-local one needs a zone, which no URL can have. */
function addresses(withIpv6: boolean): string[] {
  const all = Object.values(networkInterfaces()).flatMap((ofOne = []) => ofOne)
  const reached = all.filter(({ internal, address }) => !internal && !/^fe80:/i.test(address))
  const ipv4 = reached.filter(({ family }) => family === 'IPv4').map(({ address }) => address)
  const ipv6 = reached.filter(({ family }) => family === 'IPv6').map(({ address }) => `[${address}]`)
  return [...ipv4, ...(withIpv6 ? ipv6 : [])]
}

function othersReachIt(urls: readonly string[], { baseUrl, open, sendTokens }: Shown): string {
  const where = baseUrl === undefined ? urls.slice(0, MAX_ADDRESSES) : [baseUrl]
  const who = sendTokens === undefined && open ? 'Anyone who can reach this machine may send. ' : ''
  if (where.length === 0) return `${who}This machine has no address on a network yet.\n`
  return `${who}Other machines reach this server at:

${indented(where)}
`
}

/** The options that only a server behind a proxy has. Such a server must not be opened to others itself. */
function isBehindProxy({ baseUrl, trustProxy, proxyFullDuplex, proxyHidesCuts }: Shown): boolean {
  return baseUrl !== undefined || trustProxy !== undefined || proxyFullDuplex || proxyHidesCuts
}

function proxyReachesIt({ baseUrl }: Shown): string {
  if (baseUrl === undefined) return 'Other machines reach this server through your proxy, at its address.\n'
  return `Other machines reach this server through your proxy, at:

${indented([baseUrl])}
`
}

function othersCannot({ open, sendTokens }: Shown, argv: readonly string[]): string {
  const line = (...added: readonly string[]) =>
    ['ess-server', '--host 0.0.0.0', ...added, ...otherFlags(argv)].join(' ')
  if (sendTokens !== undefined || open)
    return `Only this machine reaches this server. To let others in, start it with:

${indented([line(...(open ? ['--open'] : []))])}
`
  return `Only this machine reaches this server. To let others in, start it so that anyone
may send (--open), or only those with a token (--send-tokens):

${indented([line('--open'), line('--send-tokens FILE')])}
`
}

/** What was typed but --host and --open, as words for a shell. */
function otherFlags(argv: readonly string[]): string[] {
  const kept = argv.filter((word, at) => {
    const before = argv[at - 1]
    const isValue = before === '--host' || (before === '--open' && /^(?:true|false)$/.test(word))
    return !isValue && !/^--(?:host|(?:no-)?open)(?:=|$)/.test(word)
  })
  return kept.map((word) => (/^[\w./:@+,=-]+$/.test(word) ? word : quoteForShell(word)))
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`).join('\n')
}
