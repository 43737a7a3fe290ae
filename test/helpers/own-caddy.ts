import { access, cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './free-port.js'
import { run } from './run.js'
import { tempDir } from './temp-dir.js'
import { until } from './within.js'

/** A Caddy in front of something, with a certificate of its own making. */
export interface OwnCaddy {
  /** Where it is reached. */
  readonly url: string
  /** The same without `https://`. */
  readonly site: string
  /** The file of the authority that its certificate is from. */
  readonly authority: string
}

/** A free place for a site of this machine. */
export async function freeSite(): Promise<string> {
  return `localhost:${await freePort()}`
}

/** Runs a Caddyfile of the project as the compose file beside it would, at this site and in front of these upstreams. */
export async function startOwnCaddy(
  path: string,
  site: string,
  upstreams: readonly string[],
): Promise<OwnCaddy> {
  const folder = await tempDir()
  const config = join(folder, 'Caddyfile')
  await cp(fileURLToPath(new URL(`../../${path}`, import.meta.url)), config)
  await mkdir(join(folder, 'data'))
  const caddy = await run('caddy', 'caddy', ['run', '--adapter', 'caddyfile', '--config', config], {
    env: {
      ESS_SITE: site,
      ESS_TLS: 'tls internal',
      ESS_UPSTREAM: upstreams.join(' '),
      ESS_HTTP_PORT: String(await freePort()),
      HOME: folder,
      XDG_CONFIG_HOME: folder,
      XDG_DATA_HOME: join(folder, 'data'),
    },
  })
  await caddy.untilStderr(/serving initial configuration/)
  const authority = join(folder, 'data', 'caddy', 'pki', 'authorities', 'local', 'root.crt')
  await until('Caddy has made its authority', () =>
    access(authority).then(
      () => true,
      () => false,
    ),
  )
  const url = `https://${site}`
  await until('Caddy has its certificate', async () => {
    const asked = await run('curl', 'curl', ['-sf', '--cacert', authority, `${url}/health`])
    return (await asked.ended()).code === 0
  })
  return { url, site, authority }
}
