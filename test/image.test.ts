import { access, cp, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, test } from 'vitest'
import { expectCompose, readCompose, withSite } from './helpers/compose.js'
import { readPage } from './helpers/markdown.js'
import { needs } from './helpers/needs.js'
import { freeSite, startOwnCaddy } from './helpers/own-caddy.js'
import { run } from './helpers/run.js'
import { runEss } from './helpers/run-ess.js'
import { ESS_SERVER } from './helpers/start-server.js'
import { startServerHere } from './helpers/start-server-here.js'
import { tempDir } from './helpers/temp-dir.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

describe('the Dockerfile', () => {
  test('has nothing that hadolint would not have', async (context) => {
    needs(context, 'hadolint')
    const { code, stdout } = await (await run('hadolint', 'hadolint', [join(ROOT, 'Dockerfile')])).ended()
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: '' })
  })

  test('copies all that the build needs, and .dockerignore lets it through', {
    timeout: 120_000,
  }, async () => {
    const [stage = ''] = (await readPage('Dockerfile'))
      .split(/^FROM node:\S+$/m)
      .filter((part) => part.includes('RUN npm ci'))
    const copied = [...stage.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, names = '']) => names.split(' '))
    const allowed = [...(await readPage('.dockerignore')).matchAll(/^!(.+)$/gm)].map(([, name]) => name)
    expect(copied.toSorted()).toEqual(allowed.toSorted())
    const folder = await tempDir()
    for (const name of copied) await cp(join(ROOT, name), join(folder, name), { recursive: true })
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    const build = await run('npm run build', 'npm', ['run', 'build'], {
      cwd: folder,
      env: { NODE_OPTIONS: undefined },
    })
    const { code, stderr } = await build.ended(100_000)
    expect(code, stderr).toBe(0)
    for (const name of ['dist/server/main.js', 'dist/ess/ess.cjs', 'dist/ess.tgz', 'dist/web/manifest.json'])
      await access(join(folder, name))
  })
})

describe('docs/compose.yaml', () => {
  async function compose() {
    return await readCompose<'ess-server' | 'caddy'>('docs/compose.yaml')
  }

  test('is what the Compose Specification takes', async () => {
    expectCompose(await compose())
  })

  test('refers to nothing that is not there, and leaves nothing to be written but the certificates', async () => {
    const { services, volumes, secrets } = await compose()
    const named = Object.values(services).flatMap((service) => service.volumes ?? [])
    for (const volume of named) {
      const [source = ''] = volume.split(':')
      if (source.startsWith('.')) await access(join(ROOT, 'docs', source))
      else expect(Object.keys(volumes)).toContain(source)
    }
    expect(services['ess-server'].secrets).toEqual(Object.keys(secrets))
    expect(services['ess-server'].volumes).toBeUndefined()
    for (const [name, service] of Object.entries(services))
      expect(service, name).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
  })

  test('looks at the health of ess-server as the image does, and gives it the time to drain', async () => {
    const { healthcheck, stop_grace_period } = (await compose()).services['ess-server']
    const [, command = ''] = /^HEALTHCHECK [^[]*?CMD (\[.*?\])$/ms.exec(await readPage('Dockerfile')) ?? []
    expect(healthcheck?.test).toEqual(['CMD', ...JSON.parse(command)])
    expect(Number.parseInt(stop_grace_period, 10)).toBeGreaterThan(30)
  })

  test('gives ess-server settings that it takes', async () => {
    const { environment } = (await compose()).services['ess-server']
    const tokens = join(await tempDir(), 'send-tokens')
    await writeFile(tokens, `${'0123456789abcdef'.repeat(4)} me\n`)
    const env = withSite(environment, 'send.example.org', { ESS_SEND_TOKENS: tokens })
    const { code, stdout } = await (
      await run('ess-server', process.execPath, [ESS_SERVER, '--check', '--port', '0'], { env })
    ).ended()
    expect(code, stdout.toString()).toBe(0)
    const { stdout: help } = await (await run('ess-server', process.execPath, [ESS_SERVER, '--help'])).ended()
    for (const name of Object.keys(environment))
      expect(help.toString()).toContain(` --${name.slice('ESS_'.length).toLowerCase().replaceAll('_', '-')} `)
  })
})

describe('docs/Caddyfile', () => {
  beforeEach((context) => needs(context, 'caddy'))

  test('is formatted as Caddy would, and has no site without a name', async () => {
    const file = join(ROOT, 'docs', 'Caddyfile')
    const formatted = await (await run('caddy fmt', 'caddy', ['fmt', file])).ended()
    expect(formatted.stdout.toString()).toBe(await readPage('docs/Caddyfile'))
  })

  test('with a certificate of its own it carries a transfer both ways, in front of what compose starts', async () => {
    const folder = await tempDir()
    const site = await freeSite()
    const { environment } = (await readCompose<'ess-server' | 'caddy'>('docs/compose.yaml')).services[
      'ess-server'
    ]
    const { ESS_SEND_TOKENS: _tokens, ...settings } = withSite(environment, site, {
      ESS_TRUST_PROXY: 'loopback',
    })
    const server = await startServerHere(
      ...Object.entries(settings).map(
        ([name, value]) => `--${name.slice('ESS_'.length).toLowerCase().replaceAll('_', '-')}=${value}`,
      ),
    )
    const { url, authority } = await startOwnCaddy('docs/Caddyfile', site, [`127.0.0.1:${server.port}`])
    const env = { NODE_EXTRA_CA_CERTS: authority }
    await writeFile(join(folder, 'file'), Buffer.alloc(2 ** 20, 'x'))
    const sender = await runEss(url, ['send', join(folder, 'file')], { env })
    const [link] = await sender.untilStdout(/^http\S+\n/)
    expect(link.startsWith(`${url}/`)).toBe(true)
    const receiver = await runEss(undefined, ['get', link.trim(), '-o', '-'], { env })
    const received = await receiver.ended()
    expect({ code: received.code, bytes: received.stdout.length }, received.stderr).toEqual({
      code: 0,
      bytes: 2 ** 20,
    })
    expect((await sender.ended()).code).toBe(0)
  })
})
