import { networkInterfaces } from 'node:os'
import { receiveWithCurl, receiveWithEss, sendWithCurl, sendWithEss, type Terms } from '../answer/how-to.js'
import { OPTIONS } from '../broker/option-table.js'
import type { Listening } from '../listen/listen.js'
import { isExposed } from '../ops/exposure.js'
import type { Flags } from './flags.js'

/** How many addresses of this machine are shown. Containers and VPNs add many. */
const MAX_ADDRESSES = 4

/** The options that decide what the screen says. */
type Shown = Pick<
  Flags,
  'host' | 'open' | 'baseUrl' | 'sendTokens' | 'receiveTokens' | 'earlyResponse' | 'proxyHidesCuts'
>

/** What a person who has started `ess-server` on a terminal does next, on one screen. */
export async function firstScreen(server: Listening, flags: Shown): Promise<string> {
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
  return `
Send a file${isPublic ? '' : ' from this machine'}${send}

Receive it, with the LINK that the sender prints:

${indented([receiveWithEss('LINK', terms), receiveWithCurl('LINK', terms)])}

${isPublic ? othersReachIt(urls, flags) : othersCannot(terms)}
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
  const who = sendTokens === undefined && open ? 'Anyone who reaches this machine may send. ' : ''
  if (where.length === 0) return `${who}This machine has no address on a network yet.\n`
  return `${who}Other machines reach this server at:

${indented(where)}
`
}

function othersCannot({ needsTokenToSend }: Terms): string {
  const lines = needsTokenToSend
    ? ['ess-server --host 0.0.0.0 --send-tokens FILE']
    : [
        'ess-server --host 0.0.0.0 --open                  anyone may send',
        'ess-server --host 0.0.0.0 --send-tokens FILE      only with a token',
      ]
  return `Only this machine reaches this server. To let others in, start it with:

${indented(lines)}
`
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`).join('\n')
}
