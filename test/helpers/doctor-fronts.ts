import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { freePort } from './free-port.js'
import { run } from './run.js'
import { tempDir } from './temp-dir.js'
import { until } from './within.js'

/** The proxies that Debian has. */
export type Front = 'nginx' | 'caddy' | 'haproxy' | 'apache2'

/** A certificate's files, for a proxy that ends TLS. */
export interface Pair {
  readonly path: string
  readonly keyPath: string
}

interface Place {
  readonly folder: string
  readonly port: number
  readonly to: string
}

/**
 * How each is started with `body`, which goes where this proxy passes requests on: the `location` of nginx, the site of
 * Caddy, the frontend and backend of haproxy, the virtual host of Apache. In it, TO is the host and port of ess-server,
 * and FOLDER one of the test's.
 */
const STARTS: Readonly<Record<Front, (place: Place, body: string, tls: Pair | undefined) => Start>> = {
  nginx: ({ folder, port }, body, tls) => ({
    file: 'nginx.conf',
    args: (path) => ['-e', 'stderr', '-p', folder, '-c', path, '-g', 'daemon off;'],
    text: `worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  proxy_cache_path ${folder}/cache keys_zone=parts:1m;
  limit_req_zone $binary_remote_addr zone=few:1m rate=1r/m;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port}${tls ? ' ssl' : ''};
    ${tls ? `ssl_certificate ${tls.path}; ssl_certificate_key ${tls.keyPath};` : ''}
    location / {
      ${body}
    }
  }
}
`,
  }),
  caddy: ({ folder, port }, body, tls) => ({
    file: 'Caddyfile',
    args: (path) => ['run', '--adapter', 'caddyfile', '--config', path],
    text: `{
  admin off
  auto_https off
  storage file_system ${folder}
}
${tls ? 'https' : 'http'}://:${port} {
  bind 127.0.0.1
  ${tls ? `tls ${tls.path} ${tls.keyPath}` : ''}
${body}
}
`,
  }),
  haproxy: ({ port }, body) => ({
    file: 'haproxy.cfg',
    args: (path) => ['-f', path],
    text: body.replaceAll('BIND', 'bind 127.0.0.1:PORT').replaceAll('PORT', String(port)),
  }),
  apache2: ({ folder, port }, body, tls) => ({
    file: 'apache.conf',
    args: (path) => ['-X', '-d', folder, '-f', path],
    text: `ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${folder}/apache.pid
Mutex file:${folder} default
ErrorLog ${folder}/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule env_module /usr/lib/apache2/modules/mod_env.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
${tls ? 'LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so' : ''}
<VirtualHost *:${port}>
${tls ? `SSLEngine on\nSSLCertificateFile ${tls.path}\nSSLCertificateKeyFile ${tls.keyPath}` : ''}
${body}
</VirtualHost>
`,
  }),
}

interface Start {
  readonly file: string
  readonly args: (path: string) => readonly string[]
  readonly text: string
}

/** Starts a proxy in front of the server at `port`, and gives its URL; it stops when the test is over. */
export async function startFront(
  front: Front,
  port: number,
  body: string,
  tls?: Pair,
  ownPort?: number,
): Promise<string> {
  const folder = await tempDir()
  // Workers may be of a user of their own.
  await chmod(folder, 0o755)
  const place: Place = { folder, port: ownPort ?? (await freePort()), to: `127.0.0.1:${port}` }
  const written = body.replaceAll('TO', place.to).replaceAll('FOLDER', folder)
  const { file, args, text } = STARTS[front](place, written, tls)
  const path = join(folder, file)
  await writeFile(path, text)
  const env = { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder }
  const proxy = await run(front, front, args(path), { env })
  // Apache is one process here, and waits for its connections. Killed at once, nginx would leave its workers behind.
  onTestFinished(async () => {
    proxy.kill(front === 'apache2' ? 'SIGKILL' : 'SIGTERM')
    await proxy.ended()
  })
  await until(`${front} listens`, () => isOpen(place.port)).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : error}: ${proxy.stderr()}`)
  })
  return `${tls ? 'https' : 'http'}://${tls ? 'localhost' : '127.0.0.1'}:${place.port}`
}

async function isOpen(port: number): Promise<boolean> {
  const { connect } = await import('node:net')
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
