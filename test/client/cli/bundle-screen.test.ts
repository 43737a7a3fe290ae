import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { titleOf } from '../../../client/cli/title.js'
import { needs } from '../../helpers/needs.js'
import { ESS } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { type Shell, shellInTmux } from '../../helpers/tmux.js'
import { until } from '../../helpers/within.js'

test.each([
  ['report.pdf', undefined, 'report.pdf'],
  [undefined, undefined, undefined],
  ['photos.tar', 1204, 'photos, 1,204 items'],
  ['photos.tar', 1, 'photos, 1 item'],
  ['v1.2.tar', 1_000_000, 'v1.2, 1,000,000 items'],
  ['files.tar', 3, '3 items'],
  ['backup', 3, 'backup, 3 items'],
])('%s of %s entries is called %s', (name, entries, title) => {
  expect(titleOf(name, entries === undefined ? undefined : { entries })).toBe(title)
})

/** What moves on a screen: the lines with a bar, or with a percentage. */
function bars(lines: readonly string[]): readonly string[] {
  return lines.filter((line) => /\d+%|━|─/.test(line))
}

/** Looks at a screen until it shows the last line, and gives what moved there. */
async function watch(shell: Shell, last: RegExp): Promise<readonly (readonly string[])[]> {
  const seen: (readonly string[])[] = []
  await until(`the screen shows ${last}`, async () => {
    const lines = await shell.scrolledBack()
    const moving = bars(lines)
    if (moving.length > 0) seen.push(moving)
    return last.test(lines.join('\n'))
  })
  return seen
}

describe('a folder', () => {
  beforeEach((context) => needs(context, 'tmux', 'bash'))

  test.each([
    [80, '', /^http\S+\/photos\.tar$/],
    [40, '', /^http\S+\/photos\.tar$/],
    [80, '-e', /^http\S+#AGE-SECRET-KEY-1[A-Z\d]{58}$/],
    [40, '-e', /^http\S+#AGE-SECRET-KEY-1[A-Z\d]{58}$/],
  ])('in %d columns, sent with %j, has its name and one bar on both sides', async (columns, flags, form) => {
    const server = await startServerHere()
    const [here, there] = [await tempDir(), await tempDir()]
    await mkdir(join(here, 'photos'))
    for (const name of ['one.jpg', 'two.jpg']) {
      await writeFile(join(here, 'photos', name), name)
      await truncate(join(here, 'photos', name), 10_000_000)
    }
    // Their holes take no room, and a slow line leaves time to look.
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    await proxy.strike({ kind: 'throttle', bytesPerSecond: 10_000_000 })

    const env = {
      ESS_SERVER: server.url,
      TERM: 'xterm-256color',
      LANG: 'C.UTF-8',
      ESS: `${process.execPath} ${ESS}`,
    }
    const [sender, receiver] = [await shellInTmux(here, env), await shellInTmux(there, env)]
    for (const shell of [sender, receiver]) await shell.resize(columns)
    await sender.type(`clear; $ESS send ${flags} photos > link`)
    const hints = await sender.untilScreen(/Waiting for the receiver/)
    expect(hints).toContain('  photos, 3 items, 20.0 MB')
    const link = (await readFile(join(here, 'link'), 'utf8')).trim()
    expect(link).toMatch(form)
    await receiver.type(`clear; $ESS get '${link.replace(/:\d+/, `:${proxy.port}`)}'`)
    const [sent, received] = await Promise.all([
      watch(sender, /✔ Delivered photos, 3 items, 20\.0 MB in \d/),
      watch(receiver, /✔ Received photos, 3 items, 20\.0 MB in \d/),
    ])
    for (const moving of [...sent, ...received]) expect(moving).toHaveLength(1)
    expect(received.flat().some((line) => /^ *[━─]* *\d+%/.test(line))).toBe(true)
    const screen = await receiver.scrolledBack()
    expect(screen).toContain('photos, 3 items, 20.0 MB')
    expect(bars(screen)).toEqual([])
    expect((await readFile(join(there, 'photos', 'two.jpg'))).length).toBe(10_000_000)
  })
})
