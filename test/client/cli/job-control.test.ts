import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { type RawConnection, rawServer } from '../../helpers/client-raw-server.js'
import { ID, LAST_CHUNK, openUpload, tell, untilUploaded } from '../../helpers/client-wire.js'
import { needs } from '../../helpers/needs.js'
import { ESS } from '../../helpers/run-ess.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { type Shell, shellInTmux } from '../../helpers/tmux.js'

const AS_FOUND = 'cursor 1, wrap 1'
const SPINNER = /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/

beforeEach((context) => needs(context, 'tmux', 'bash'))

/** Starts `ess send f`, with `after` behind it, and waits for its link. */
async function sending(
  after = '',
): Promise<{ shell: Shell; connection: RawConnection; kill: (signal: NodeJS.Signals) => Promise<void> }> {
  const server = await rawServer()
  const cwd = await tempDir()
  await writeFile(join(cwd, 'f'), Buffer.alloc(2000))
  const shell = await shellInTmux(cwd, { ESS_SERVER: server.url, TERM: 'xterm', LANG: 'C.UTF-8' })
  const line = `echo $$ > pid; exec '${process.execPath}' '${ESS}' send f`
  await writeFile(join(cwd, 'ess'), line)
  await shell.type(`clear; sh ess ${after}`)
  const connection = await openUpload(server, { url: `${server.url}/${ID}/f` })
  await shell.untilScreen(/curl -f/)
  const kill = async (signal: NodeJS.Signals) =>
    void process.kill(Number(await readFile(join(cwd, 'pid'), 'utf8')), signal)
  return { shell, connection, kill }
}

function tellProgress(connection: RawConnection, bytes: number): void {
  tell(connection, { event: 'progress', bytes, total: 2000 })
}

async function tellDelivered(connection: RawConnection): Promise<void> {
  await untilUploaded(connection)
  tell(connection, { event: 'delivered', bytes: 2000, confirmed: true })
  connection.end(LAST_CHUNK)
}

test('Ctrl-Z takes the bar away and gives the terminal back; bg leaves it alone, and fg draws again', async () => {
  const { shell, connection } = await sending()
  tell(connection, { event: 'connected' })
  tellProgress(connection, 500)
  await shell.untilScreen(/25%/)
  await shell.press('C-z')
  expect((await shell.untilScreen(/Stopped/)).join('\n')).not.toMatch(/25%/)
  expect(await shell.modes()).toBe(AS_FOUND)
  // Its window gets narrower while another program has it.
  await shell.resize(90)
  await shell.type('fg')
  await shell.untilScreen(/25%/)
  await shell.press('C-z')
  await shell.untilScreen(/(?:Stopped[\s\S]*){2}/)
  await shell.type('bg')
  tellProgress(connection, 1000)
  await shell.type('echo "ty""ped"')
  const lines = await shell.untilScreen(/^typed$/m)
  expect(lines.join('\n')).not.toMatch(/%/)
  await shell.type('fg')
  await shell.untilScreen(/50%/)
  await tellDelivered(connection)
  expect((await shell.untilScreen(/✔ Delivered f/)).join('\n')).not.toMatch(/%/)
  await shell.type('echo "status $?"')
  await shell.untilScreen(/^status 0$/m)
  expect(await shell.modes()).toBe(AS_FOUND)
})

test('a window that is resized keeps what is above the bar, and one bar', async () => {
  const { shell, connection } = await sending()
  const above = (await shell.scrolledBack()).filter((line) => !SPINNER.test(line))
  tell(connection, { event: 'connected' })
  tellProgress(connection, 500)
  await shell.untilScreen(/25%/)
  let bytes = 500
  for (const columns of [70, 45, 30, 100]) {
    await shell.resize(columns)
    // A new number shows that it was drawn in the new width.
    bytes += 100
    tellProgress(connection, bytes)
    const lines = await shell.untilScreen(new RegExp(` ${bytes / 20}%`))
    expect(lines.filter((line) => /%|━|─/.test(line))).toHaveLength(1)
  }
  expect((await shell.scrolledBack()).slice(0, -1)).toEqual(above)
  await tellDelivered(connection)
  await shell.untilScreen(/✔ Delivered f/)
  const last = await shell.scrolledBack()
  expect(last.slice(0, above.length)).toEqual(above)
  expect(last.filter((line) => /%|━|─/.test(line))).toEqual([])
})

test('in the background it draws nothing', async () => {
  const { shell, connection } = await sending('&')
  await shell.type('echo "ty""ped"')
  expect((await shell.untilScreen(/^typed$/m)).join('\n')).not.toMatch(SPINNER)
  await shell.type('fg')
  await shell.untilScreen(SPINNER)
  tell(connection, { event: 'connected' })
  await tellDelivered(connection)
  await shell.untilScreen(/✔ Delivered f/)
})

// The last two can't be caught.
test.each(['SIGTERM', 'SIGSTOP', 'SIGKILL'] as const)(
  'after %s the terminal is as it was found',
  async (signal) => {
    const { shell, connection, kill } = await sending()
    tell(connection, { event: 'connected' })
    tellProgress(connection, 500)
    await shell.untilScreen(/25%/)
    await kill(signal)
    await shell.untilScreen(/\$ ?$/)
    expect(await shell.modes()).toBe(AS_FOUND)
  },
)
