import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { download, send } from '../../client/index.js'
import { sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { needs } from '../helpers/needs.js'
import { startBehind } from '../helpers/proxies.js'
import { startTcpProxy } from '../helpers/tcp-proxy.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until, within } from '../helpers/within.js'

/** More than the buffers on the way hold, so that a cut in the middle is one for everyone. */
const SIZE = 30_000_000
const TRANSFER_MS = 40_000

/** What docs/deploying.md says goes on after a cut. */
const GOES_ON = (['haproxy', 'caddy', 'nginx', 'apache2'] as const).flatMap((name) =>
  (['file', 'pipe'] as const).map((kind) => ({ name, kind })),
)

describe.each(GOES_ON)('behind $name, a $kind', ({ name, kind }) => {
  beforeEach((context) => needs(context, name))

  /** A network between a peer and the proxy. */
  async function roadTo(url: string) {
    const road = await startTcpProxy(Number(new URL(url).port))
    onTestFinished(() => road.close())
    return { road, url: `http://127.0.0.1:${road.port}` }
  }

  async function start() {
    const proxy = await startBehind(name, { more: ['--resume-within', '30'] })
    const sendersWay = await roadTo(proxy.url)
    const receiversWay = await roadTo(proxy.url)
    const folder = await tempDir()
    const file = join(folder, 'file.bin')
    const hash = await writeFileOf(file, SIZE)
    const sending = send(kind === 'file' ? file : createReadStream(file), { server: sendersWay.url })
    const told: string[] = []
    let id = ''
    const reading = (async () => {
      for await (const event of sending) {
        if (event.event === 'opened') ({ id } = event)
        if (told.at(-1) !== event.event) told.push(event.event)
      }
    })()
    reading.catch(() => undefined) // The verdict is looked at.
    await until('the link is there', () => id !== '')
    return { sendersWay, receiversWay, to: join(folder, 'copy'), hash, sending, told, id }
  }

  test('goes on after its sender was cut', async () => {
    const { sendersWay, receiversWay, to, hash, sending, told, id } = await start()
    const cut = sendersWay.road.arm({ kind: 'rst' }, 'up', SIZE / 3)
    const received = download(id, { server: receiversWay.url, to: { file: to } })
    await within(TRANSFER_MS, 'the cut', cut)
    await within(TRANSFER_MS, 'the download', received)
    expect(await within(TRANSFER_MS, 'the verdict', sending.verdict)).toMatchObject({ bytes: SIZE })
    expect(told).toEqual(expect.arrayContaining(['interrupted', 'resumed', 'delivered']))
    expect(await sha256OfFile(to)).toBe(hash)
  })

  test('goes on after its receiver was cut', async () => {
    const { receiversWay, to, hash, sending, told, id } = await start()
    const resumed: number[] = []
    const received = download(id, {
      server: receiversWay.url,
      to: { file: to },
      onOffer: () => void receiversWay.road.arm({ kind: 'rst' }, 'down', SIZE / 3),
      onResumed: (bytes) => resumed.push(bytes),
    })
    await within(TRANSFER_MS, 'the download', received)
    expect(resumed).toEqual([expect.any(Number)])
    expect(resumed[0]).toBeGreaterThan(SIZE / 10)
    expect(await within(TRANSFER_MS, 'the verdict', sending.verdict)).toMatchObject({ bytes: SIZE })
    // A receiver that is back before its old connection is known to be gone takes over, and the sender only rewinds.
    expect(told.some((event) => event === 'interrupted' || event === 'rewind')).toBe(true)
    expect(told).toEqual(expect.arrayContaining(['resumed', 'delivered']))
    expect(await sha256OfFile(to)).toBe(hash)
  })
})
