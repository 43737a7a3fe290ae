import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CIPHERS } from './ciphers.js'
import type { Programs } from './compile.js'
import { PAIRINGS } from './pairings.js'
import { AT_ANOTHER_NODE, AT_ANOTHER_NODE_BY_TLS, AT_ONE_NODE, WAITING_FIELDS } from './placements.js'
import { STARTS } from './starts.js'
import type { Command } from './subject-process.js'
import { TOOLS } from './tools.js'

/** A key pair made for the run. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
  /** Both in one file, as haproxy wants them. */
  readonly bundle: string
}

/** Where a subject is to listen, and what it finds there. */
export interface Place {
  readonly port: number
  /** The origin's port; of use to a proxy alone. */
  readonly originPort: number
  readonly certificate: Certificate | undefined
}

/** Something that carries bytes from a sender to a receiver. */
export interface Subject {
  readonly name: string
  /** `opened`: the answer's first line is the URL. `named`: the sender says the path. */
  readonly route: 'opened' | 'named'
  /** What the answer to a sender holds when all went well. */
  readonly verdict: string
  /** True where the receiver is an origin behind it, rather than a client of it. */
  readonly isProxy: boolean
  /** True where `Expect: 100-continue` is answered at once, as every server of Node's does. */
  readonly says100: boolean
  /** True where a failure is ESS's own. */
  readonly isOurs: boolean
  command(place: Place): Command
}

/** Where everything is that subjects are made of. */
export interface Parts {
  readonly programs: Programs
  /** The folder of the compiled ess-server: `dist`. */
  readonly essDist: string
  /** The folder of this bench's sources, with its node_modules. */
  readonly sources: string
  /** The folder of this bench's compiled files. */
  readonly compiled: string
  /** A folder of this run. */
  readonly scratch: string
}

export const GEARS = ['streams', 'sockets', 'splice'] as const

/** Every subject by its name. */
export function makeSubjects(parts: Parts): ReadonlyMap<string, Subject> {
  const subjects = [
    essSubject('ess', parts, []),
    ...GEARS.map((gear) => essSubject(`ess-${gear}`, parts, ['--relay', gear])),
    essSubject('ess-2-workers', parts, ['--workers', '2']),
    named('piping-server', 'Sent successfully', (place) => pipingServer(parts, place)),
    named('node-pipe', 'delivered', ({ port }) => node(join(parts.compiled, 'peers/pipe.js'), port)),
    named('hono', 'delivered', ({ port }) => node(join(parts.compiled, 'peers/hono.js'), port)),
    {
      // Its wire is ESS's, and so is its load.
      ...named('node-wire', '# delivered', ({ port }) => node(join(parts.compiled, 'peers/wire.js'), port)),
      route: 'opened' as const,
    },
    named('c-copy', 'delivered', ({ port }) => ({ file: parts.programs.relay, args: ['copy', `${port}`] })),
    named('c-splice', 'delivered', ({ port }) => ({
      file: parts.programs.relay,
      args: ['splice', `${port}`],
    })),
    proxy('nginx', (place) => nginx(parts, place)),
    proxy('haproxy', (place) => haproxy(parts, place)),
    // The clients' runs start ESS as it comes, and are named by who sends to whom, or by what is started.
    ...[...Object.keys(PAIRINGS), ...Object.keys(STARTS), ...Object.keys(CIPHERS)].map((each) =>
      essSubject(each, parts, []),
    ),
    // These start ESS by themselves, as nodes of a cluster.
    ...[AT_ONE_NODE, AT_ANOTHER_NODE, AT_ANOTHER_NODE_BY_TLS, ...Object.keys(WAITING_FIELDS)].map((each) =>
      essSubject(each, parts, []),
    ),
    ...Object.entries(TOOLS).map(([name, { relay }]) =>
      relay === undefined ? essSubject(name, parts, []) : named(name, '', ({ port }) => relay(port)),
    ),
  ]
  return new Map(subjects.map((subject) => [subject.name, subject]))
}

function node(script: string, ...args: (string | number)[]): Command {
  return { file: process.execPath, args: [script, ...args.map(String)] }
}

function essSubject(name: string, parts: Parts, gear: readonly string[]): Subject {
  return {
    name,
    route: 'opened',
    verdict: '# delivered',
    isProxy: false,
    says100: true,
    isOurs: true,
    command: ({ port, certificate }) =>
      node(
        join(parts.essDist, 'server/main.js'),
        ...['--port', port, '--log', 'off', '--max-upload-bytes', 0, '--max-sockets', 20_000],
        // All of the load comes from one address.
        ...['--max-sockets-per-client', 0, '--max-waiting-per-client', 0, '--max-misses-per-client', 0],
        ...['--max-connections-per-client', 0],
        ...(certificate ? ['--tls-cert', certificate.certificate, '--tls-key', certificate.key] : []),
        ...gear,
      ),
  }
}

function named(name: string, verdict: string, command: (place: Place) => Command): Subject {
  return {
    name,
    route: 'named',
    verdict,
    isProxy: false,
    says100: !name.startsWith('c-'),
    isOurs: false,
    command,
  }
}

function proxy(name: string, command: (place: Place) => Command): Subject {
  return { name, route: 'named', verdict: 'whole', isProxy: true, says100: false, isOurs: false, command }
}

function pipingServer({ sources }: Parts, { port, certificate }: Place): Command {
  const script = join(sources, 'node_modules/piping-server/dist/src/index.js')
  if (certificate === undefined) return node(script, '--host', '127.0.0.1', '--http-port', port)
  return node(
    script,
    ...['--host', '127.0.0.1', '--http-port', 0, '--enable-https', '--https-port', port],
    ...['--key-path', certificate.key, '--crt-path', certificate.certificate],
  )
}

function nginx({ scratch }: Parts, { port, originPort, certificate }: Place): Command {
  const file = join(scratch, 'nginx.conf')
  const tls =
    certificate && `ssl_certificate ${certificate.certificate}; ssl_certificate_key ${certificate.key};`
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${join(scratch, 'nginx.pid')}; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${join(scratch, 'nginx-body')}; proxy_temp_path ${join(scratch, 'nginx-proxy')};
  fastcgi_temp_path ${scratch}; uwsgi_temp_path ${scratch}; scgi_temp_path ${scratch};
  server {
    listen 127.0.0.1:${port} ${tls ? 'ssl' : ''}; ${tls ?? ''}
    client_max_body_size 0;
    location / {
      proxy_pass ${tls ? 'https' : 'http'}://127.0.0.1:${originPort};
      proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off;
    }
  }
}
`,
  )
  return { file: 'nginx', args: ['-c', file, '-p', scratch] }
}

function haproxy({ scratch }: Parts, { port, originPort, certificate }: Place): Command {
  const file = join(scratch, 'haproxy.cfg')
  writeFileSync(
    file,
    `global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen relay
  bind 127.0.0.1:${port} ${certificate ? `ssl crt ${certificate.bundle}` : ''}
  server origin 127.0.0.1:${originPort} ${certificate ? 'ssl verify none' : ''}
`,
  )
  return { file: 'haproxy', args: ['-db', '-f', file] }
}
