import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import { EssError } from '../../shared/index.js'
import { hasLonePercent } from './credentials.js'

/** An HTTP proxy that the environment names. */
export interface HttpProxy {
  /** `http:` or `https:`, with the user name and password if any. Never show it; show `shown`. */
  readonly url: URL
  /** The URL without user name and password. */
  readonly shown: string
  /** The variable that names it. */
  readonly variable: string
}

type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/**
 * The proxy for `url`, from HTTP_PROXY or HTTPS_PROXY, ALL_PROXY and NO_PROXY, lower case first, read as curl reads
 * them. Undefined if no proxy is needed. Throws EssError `proxy-failed` for a value that names no proxy we can use;
 * the message doesn't show the value, which may hold a password.
 */
export function proxyFor(url: URL, env: Environment = process.env): HttpProxy | undefined {
  const named = proxyVariable(url.protocol, env)
  if (named === undefined || isPastProxy(url, env['no_proxy'] || env['NO_PROXY'] || '')) return undefined
  return parseProxy(named.variable, named.value, url)
}

/** The port of an http(s) URL. The URL itself leaves out the default port. */
export function portOf(url: URL): number {
  return Number(url.port || DEFAULT_PORTS[url.protocol])
}

function proxyVariable(protocol: string, env: Environment): { variable: string; value: string } | undefined {
  const name = protocol === 'https:' ? 'https_proxy' : 'http_proxy'
  const names = [name, name.toUpperCase(), 'all_proxy', 'ALL_PROXY']
  for (const variable of names) {
    // In a CGI program, HTTP_PROXY holds the `Proxy` header of a client (CVE-2016-5385).
    if (variable === 'HTTP_PROXY' && env['REQUEST_METHOD'] !== undefined) continue
    const value = env[variable]?.trim()
    if (value) return { variable, value }
  }
  return undefined
}

function parseProxy(variable: string, value: string, target: URL): HttpProxy {
  // As in curl, a proxy without a scheme speaks HTTP, for https URLs too.
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`
  // The parser would take the host from behind more slashes, and `http` of `http:/h` for the host.
  const isOdd = /^[/\\]|^https?:(?!\d|\/\/[^/\\])/i.test(value)
  if (isOdd || !URL.canParse(text) || new URL(text).hostname === '')
    throw new EssError('proxy-failed', unreadable(variable))
  const url = new URL(text)
  const shown = `${url.protocol}//${url.host}`
  if (!(url.protocol in DEFAULT_PORTS))
    throw new EssError(
      'proxy-failed',
      `Cannot use the proxy ${shown} in ${variable}: ess uses http:// and https:// proxies only. Name one of those, or bypass it with NO_PROXY=${target.hostname}.`,
    )
  if (hasLonePercent(url)) throw new EssError('proxy-failed', unreadable(variable))
  return { url, shown, variable }
}

function unreadable(variable: string): string {
  return `Cannot read the address in ${variable}. It should look like http://proxy.example:3128. In a password, write % as %25, @ as %40, : as %3A, / as %2F, ? as %3F and # as %23.`
}

/** True if NO_PROXY names the host of `url`, a domain above it, or a network that contains it. */
function isPastProxy(url: URL, noProxy: string): boolean {
  const entries = noProxy.split(/[\s,]+/).filter((entry) => entry !== '')
  const host = bareHost(url.hostname)
  return entries.some((entry) => {
    if (entry === '*') return true
    const { name, port } = splitPort(entry)
    if (port !== undefined && port !== portOf(url)) return false
    return isIPv4(host) || isIPv6(host) ? isAddressIn(host, name) : isNameIn(host, name)
  })
}

/** Splits `host:port`. An IPv6 address has more colons, and takes a port only after brackets. */
function splitPort(entry: string): { name: string; port: number | undefined } {
  const [, name, port] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry) ?? []
  if (name === undefined) return { name: bareHost(entry), port: undefined }
  return { name: bareHost(name), port: Number(port) }
}

/** Removes the brackets of an IPv6 address and the final dot of a full name. */
function bareHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
}

/** `entry` is an address, or a network such as 10.0.0.0/8. Names are not looked up. */
function isAddressIn(address: string, entry: string): boolean {
  const [network = '', bits, ...rest] = entry.split('/')
  const family = isIPv4(network) ? 'ipv4' : isIPv6(network) ? 'ipv6' : undefined
  if (family === undefined || rest.length > 0) return false
  const all = family === 'ipv4' ? 32 : 128
  const prefix = bits === undefined ? all : /^\d{1,3}$/.test(bits) ? Number(bits) : Infinity
  if (prefix > all) return false
  const list = new BlockList()
  list.addSubnet(network, prefix, family)
  return list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

/** `example.org`, `.example.org` and `*.example.org` each cover that domain and all below it. */
function isNameIn(host: string, entry: string): boolean {
  const domain = domainToASCII(entry.replace(/^\*?\./, ''))
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`))
}
