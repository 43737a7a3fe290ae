import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { CauseName } from '../../../client/doctor/causes.js'
import { chainFor } from '../../helpers/authority.js'
import { examined, examinedByProcess } from '../../helpers/doctor.js'
import { type Front, startFront } from '../../helpers/doctor-fronts.js'
import { freePort } from '../../helpers/free-port.js'
import { needs } from '../../helpers/needs.js'
import { startBehind } from '../../helpers/proxies.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'

const NGINX_HEADERS = `proxy_set_header Host $http_host; proxy_set_header Connection "";
  proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;`
const NGINX = `proxy_pass http://TO; proxy_http_version 1.1; ${NGINX_HEADERS}
  client_max_body_size 0; proxy_request_buffering off; proxy_buffering off; gzip off;`
const RESERVE = ['--reservations', '--early-response=false']
const TRUST = ['--trust-proxy', '127.0.0.1']
const HAPROXY = `defaults
  timeout connect 5s
  timeout client 1m
  timeout server 1m
`

/** A set-up in which something is wrong. */
interface Broken {
  readonly what: string
  readonly front: Front
  readonly body: string
  readonly flags: readonly string[]
  /** What the doctor names, and nothing else. */
  readonly causes: readonly CauseName[]
  /** The line that mends it. */
  readonly mend: string
}

const BROKEN: readonly Broken[] = [
  {
    what: 'passes requests on in HTTP/1.0, its default',
    front: 'nginx',
    body: 'proxy_pass http://TO;',
    flags: TRUST,
    causes: ['http-1.0'],
    mend: 'nginx: proxy_http_version 1.1;',
  },
  {
    what: 'buffers uploads',
    front: 'nginx',
    body: NGINX.replace('proxy_request_buffering off', 'proxy_request_buffering on'),
    flags: [...TRUST, ...RESERVE],
    causes: ['request-buffered'],
    mend: 'nginx: proxy_request_buffering off; proxy_http_version 1.1;',
  },
  {
    what: 'refuses large uploads in its own way',
    front: 'nginx',
    body: `if ($http_content_length ~ '^\\d{8,}$') { return 444; } ${NGINX}`,
    flags: [...TRUST, ...RESERVE],
    causes: ['body-limit'],
    mend: 'nginx: client_max_body_size 0;',
  },
  {
    what: 'limits requests',
    front: 'nginx',
    body: `${NGINX} limit_req zone=few burst=12 nodelay;`,
    flags: [...TRUST, ...RESERVE],
    causes: ['proxy-limits'],
    mend: 'nginx: remove limit_req and limit_conn',
  },
  {
    what: 'buffers uploads, and the server gives no reservations',
    front: 'nginx',
    body: NGINX.replace('proxy_request_buffering off', 'proxy_request_buffering on'),
    flags: TRUST,
    causes: ['no-early-response'],
    mend: 'ess-server: --early-response=false --reservations',
  },
  {
    what: 'stops a body once the answer has begun',
    front: 'nginx',
    body: NGINX,
    flags: TRUST,
    causes: ['body-stops'],
    mend: 'ess-server: --early-response=false --reservations',
  },
  {
    what: 'limits the size of uploads, as it does by default',
    front: 'nginx',
    body: NGINX.replace('client_max_body_size 0;', ''),
    flags: [...TRUST, ...RESERVE],
    causes: ['body-limit'],
    mend: 'nginx: client_max_body_size 0;',
  },
  {
    what: 'says another host',
    front: 'nginx',
    body: NGINX.replace('proxy_set_header Host $http_host;', 'proxy_set_header Host files.invalid;').replace(
      'proxy_set_header X-Forwarded-Host $http_host;',
      '',
    ),
    flags: [...TRUST, ...RESERVE],
    causes: ['link-elsewhere'],
    mend: 'ess-server: --base-url URL (or --trust-proxy with the address of the proxy)',
  },
  {
    what: 'puts its own pages in place of refusals',
    front: 'nginx',
    body: `${NGINX} proxy_intercept_errors on; error_page 400 404 409 410 =400 /oops.html;`,
    flags: [...TRUST, ...RESERVE],
    causes: ['errors-replaced'],
    mend: 'nginx: proxy_intercept_errors off;',
  },
  {
    what: 'compresses downloads',
    front: 'nginx',
    body: `${NGINX.replace('gzip off;', 'gzip on; gzip_min_length 1; gzip_proxied any; gzip_types *;')}`,
    flags: [...TRUST, ...RESERVE],
    causes: ['compressed'],
    mend: 'nginx: gzip off;',
  },
  {
    what: 'asks for parts in its own way',
    front: 'nginx',
    body: `${NGINX} proxy_set_header Range "";`,
    flags: [...TRUST, ...RESERVE],
    causes: ['ranges-changed'],
    mend: 'nginx: proxy_cache off; proxy_set_header Range $http_range;',
  },
  {
    what: 'does not reach the server',
    front: 'nginx',
    body: NGINX.replace('TO', '127.0.0.1:1'),
    flags: [...TRUST, ...RESERVE],
    causes: ['front-alone'],
    mend: 'nginx: proxy_pass http://127.0.0.1:9000;',
  },
  {
    what: 'asks for a password of its own',
    front: 'nginx',
    body: `${NGINX} auth_basic "x"; auth_basic_user_file /dev/null;`,
    flags: [...TRUST, ...RESERVE],
    causes: ['front-password'],
    mend: 'nginx: auth_basic off;',
  },
  {
    what: 'compresses downloads',
    front: 'caddy',
    body: 'encode gzip\nreverse_proxy TO {\n flush_interval -1\n}',
    flags: [...TRUST, '--reservations', '--proxy-hides-cuts'],
    causes: ['compressed'],
    mend: 'caddy: remove encode',
  },
  {
    what: 'compresses downloads',
    front: 'apache2',
    body: `LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so
      LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so
      ProxyPreserveHost On
      SetOutputFilter DEFLATE
      ProxyPass / http://TO/ flushpackets=on`,
    flags: [...TRUST, ...RESERVE],
    causes: ['compressed'],
    mend: 'apache: SetEnv no-gzip 1',
  },
  {
    what: 'hides cuts, and the server was not told',
    front: 'caddy',
    body: 'reverse_proxy TO {\n flush_interval -1\n}',
    flags: [...TRUST, '--reservations'],
    causes: ['cuts-hidden'],
    mend: 'ess-server: --reservations --proxy-hides-cuts',
  },
  {
    what: 'limits the size of uploads',
    front: 'caddy',
    body: '@big header_regexp Content-Length ^[0-9]{8,}$\nrespond @big "Too large" 413\nreverse_proxy TO {\n flush_interval -1\n}',
    flags: [...TRUST, '--reservations', '--proxy-hides-cuts'],
    causes: ['body-limit'],
    mend: 'caddy: remove request_body { max_size ... }',
  },
  {
    what: 'refuses PUT',
    front: 'caddy',
    body: '@put method PUT\nrespond @put 403\nreverse_proxy TO {\n flush_interval -1\n}',
    flags: [...TRUST, '--reservations', '--proxy-hides-cuts'],
    causes: ['request-refused'],
    mend: 'caddy: remove respond and error for a path, a method or a query',
  },
  {
    what: 'does not name itself, as Traefik, and hides cuts',
    front: 'caddy',
    body: 'header -Server\nheader -Via\nreverse_proxy TO {\n flush_interval -1\n}\n',
    flags: [...TRUST, '--reservations', '--base-url', 'http://127.0.0.1:1'],
    causes: ['link-elsewhere', 'cuts-hidden'],
    mend: 'traefik: loadBalancer.passHostHeader: true',
  },
  {
    what: 'does not reach the server',
    front: 'caddy',
    body: 'reverse_proxy 127.0.0.1:1',
    flags: [...TRUST, '--reservations', '--proxy-hides-cuts'],
    causes: ['front-alone'],
    mend: 'caddy: reverse_proxy 127.0.0.1:9000',
  },
  {
    what: 'is in mode http',
    front: 'haproxy',
    body: `${HAPROXY}  mode http\nfrontend f\n  BIND\n  default_backend b\nbackend b\n  server one TO\n`,
    flags: [],
    causes: ['haproxy-http'],
    mend: 'haproxy: mode tcp',
  },
  {
    what: 'buffers requests',
    front: 'haproxy',
    body: `${HAPROXY}  mode http\n  option http-buffer-request\nfrontend f\n  BIND\n  default_backend b\nbackend b\n  server one TO\n`,
    flags: [],
    causes: ['haproxy-http', 'no-early-response'],
    mend: 'haproxy: remove option http-buffer-request',
  },
  {
    what: 'does not reach the server',
    front: 'haproxy',
    body: `${HAPROXY}  mode http\nfrontend f\n  BIND\n  default_backend b\nbackend b\n  server one 127.0.0.1:1\n`,
    flags: [],
    causes: ['front-alone'],
    mend: 'haproxy: server one 127.0.0.1:9000',
  },
  {
    what: 'is in mode tcp, and does not reach the server',
    front: 'haproxy',
    body: `${HAPROXY}  mode tcp\nfrontend f\n  BIND\n  default_backend b\nbackend b\n  server one 127.0.0.1:1\n`,
    flags: [],
    causes: ['closed-early'],
    mend: 'haproxy: server one 127.0.0.1:9000',
  },
  {
    what: 'passes no answer before the body',
    front: 'apache2',
    body: 'ProxyPreserveHost On\nProxyPass / http://TO/ flushpackets=on',
    flags: [...TRUST, '--reservations'],
    causes: ['no-early-response'],
    mend: 'ess-server: --early-response=false --reservations',
  },
  {
    what: 'puts its own pages in place of refusals',
    front: 'apache2',
    body: 'ProxyErrorOverride On\nProxyPreserveHost On\nProxyPass / http://TO/ flushpackets=on',
    flags: [...TRUST, ...RESERVE],
    causes: ['errors-replaced'],
    mend: 'apache: ProxyErrorOverride Off',
  },
]

describe('the doctor names the culprit and the line that mends it, behind', () => {
  test.each(BROKEN)('$front, which $what', async ({ front, body, flags, causes, mend }) => {
    const server = await startServerHere(...flags)
    const url = await startFront(front, server.port, body)
    const { status, problems, mends, report } = await examined(url)
    expect({ status, problems }, report).toEqual({ status: 6, problems: causes })
    expect(mends).toContain(mend.replace('URL', url))
  })

  beforeEach((context) => {
    const front = BROKEN.find(({ what, front }) =>
      context.task.name.startsWith(`${front}, which ${what}`),
    )?.front
    if (front !== undefined) needs(context, front)
  })
})

describe('the doctor has no complaint behind', () => {
  test.each(['nginx', 'caddy', 'haproxy'] as const)('%s, as documented', async (front) => {
    const { url } = await startBehind(front)
    const { status, problems, report } = await examined(url)
    expect({ status, problems }, report).toEqual({ status: 0, problems: [] })
  })

  test('apache2 with reservations', async () => {
    const server = await startServerHere(...TRUST, ...RESERVE)
    const body = 'LimitRequestBody 0\nProxyPreserveHost On\nProxyPass / http://TO/ flushpackets=on'
    const { status, problems, report } = await examined(await startFront('apache2', server.port, body))
    expect({ status, problems }, report).toEqual({ status: 0, problems: [] })
  })

  beforeEach((context) => needs(context, context.task.name.split(/[, ]/)[0] ?? ''))
})

describe('behind nginx that ends TLS', () => {
  beforeEach((context) => needs(context, 'nginx', 'openssl'))

  test('the doctor has no complaint where the server trusts it, and names links of http where it does not', async () => {
    const { full, key, root } = await chainFor('localhost', 60)
    for (const { flags, causes } of [
      { flags: [...TRUST, ...RESERVE], causes: [] },
      { flags: RESERVE, causes: ['link-http'] },
    ]) {
      const server = await startServerHere(...flags)
      const url = await startFront('nginx', server.port, NGINX, { path: full, keyPath: key })
      const { status, problems, mends, report } = await examinedByProcess(url, { NODE_EXTRA_CA_CERTS: root })
      expect({ status, problems }, report).toEqual({ status: causes.length === 0 ? 0 : 6, problems: causes })
      if (causes.length > 0)
        expect(mends).toContain(
          `ess-server: --base-url ${url} (or --trust-proxy with the address of the proxy)`,
        )
    }
  })

  test('the doctor names buffers that leave X-Accel-Buffering out of account', async () => {
    const { full, key, root } = await chainFor('localhost', 60)
    const { port } = await startServerHere(...TRUST, ...RESERVE)
    const body = `${NGINX.replace('proxy_buffering off', 'proxy_buffering on')} proxy_ignore_headers X-Accel-Buffering;`
    const url = await startFront('nginx', port, body, { path: full, keyPath: key })
    const { problems, mends, report } = await examinedByProcess(url, { NODE_EXTRA_CA_CERTS: root })
    expect(problems, report).toEqual(['both-buffered'])
    expect(mends.join('\n')).toContain('proxy_buffering off;')
  })

  test('the doctor names a chain that is not whole, and a certificate for another name', async () => {
    const { port } = await startServerHere(...TRUST, ...RESERVE)
    const { leaf, key, root } = await chainFor('localhost', 60)
    const broken = await startFront('nginx', port, NGINX, { path: leaf, keyPath: key })
    expect(await examinedByProcess(broken, { NODE_EXTRA_CA_CERTS: root })).toMatchObject({
      status: 6,
      problems: ['tls-chain'],
    })
    const other = await chainFor('send.example.org', 60)
    const misnamed = await startFront('nginx', port, NGINX, { path: other.full, keyPath: other.key })
    expect(await examinedByProcess(misnamed, { NODE_EXTRA_CA_CERTS: other.root })).toMatchObject({
      status: 6,
      problems: ['tls-name'],
    })
  })
})

test('haproxy that ends TLS in mode tcp is in no way, where the server has its base URL', async (context) => {
  needs(context, 'haproxy', 'openssl')
  const { full, key, root } = await chainFor('localhost', 60)
  const pem = `${await readFile(full, 'utf8')}${await readFile(key, 'utf8')}`
  const file = join(await tempDir(), 'both.pem')
  await writeFile(file, pem)
  // The port of a proxy is known before its server is: the links have to name it.
  const port = await freePort()
  const { port: behind } = await startServerHere('--base-url', `https://localhost:${port}`)
  await startFront(
    'haproxy',
    behind,
    `${HAPROXY}  mode tcp\nfrontend f\n  bind 127.0.0.1:PORT ssl crt ${file}\n  default_backend b\nbackend b\n  server one TO\n`,
    undefined,
    port,
  )
  const found = await examinedByProcess(`https://localhost:${port}`, { NODE_EXTRA_CA_CERTS: root })
  expect({ status: found.status, problems: found.problems }, found.report).toEqual({
    status: 0,
    problems: [],
  })
})
