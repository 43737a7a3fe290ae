import type { Certificate } from './certificate.js'
import { type ProxyName, startBehind } from './proxies.js'
import { startServerHere } from './start-server-here.js'

/** An address at which browsers, `ess` and curl come to an ess-server, over TLS. */
export interface Front {
  readonly url: string
  /** True where curl has to reserve a link before it sends. */
  readonly reserves: boolean
  /** True if a program that can't tell where a download ends gets none of unknown length. */
  readonly hidesCuts: boolean
}

/** What docs/deploying.md has, and the protocol that a browser speaks with it. */
export const FRONTS = {
  'the server’s own TLS': { protocol: 'h2' },
  nginx: { protocol: 'http/1.1', proxy: 'nginx', reserves: true },
  // The page has it as another way.
  'nginx by HTTP/2': {
    protocol: 'h2',
    proxy: 'nginx',
    lines: { 'listen 443 ssl;': 'listen 443 ssl http2;' },
    reserves: true,
  },
  caddy: { protocol: 'http/1.1', proxy: 'caddy', reserves: true, hidesCuts: true },
  haproxy: { protocol: 'http/1.1', proxy: 'haproxy' },
} as const satisfies Record<string, FrontKind>

interface FrontKind {
  readonly protocol: 'h2' | 'http/1.1'
  /** As documented, with the TLS of the page. */
  readonly proxy?: ProxyName
  /** What is not as documented. */
  readonly lines?: Readonly<Record<string, string>>
  readonly reserves?: boolean
  readonly hidesCuts?: boolean
}

export type FrontName = keyof typeof FRONTS

/** The helpers start servers that resume nothing; this is the default. */
const RESUMES = ['--resume-within', '120']

/** Starts it, with this certificate. It stops when the test is over. */
export async function startFront(name: FrontName, tls: Certificate): Promise<Front> {
  const { proxy, lines = {}, reserves = false, hidesCuts = false }: FrontKind = FRONTS[name]
  const { url } =
    proxy === undefined
      ? await startServerHere(...RESUMES, '--tls-cert', tls.path, '--tls-key', tls.keyPath)
      : await startBehind(proxy, { more: RESUMES, lines, tls })
  return { url, reserves, hidesCuts }
}
