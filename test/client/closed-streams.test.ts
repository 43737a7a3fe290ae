import { expect, test } from 'vitest'
import { rawServer } from '../helpers/client-raw-server.js'
import { ID, LAST_CHUNK, openDownload, openUpload, tell, untilUploaded } from '../helpers/client-wire.js'
import { type Program, run } from '../helpers/run.js'
import { ESS } from '../helpers/run-ess.js'
import { tempDir } from '../helpers/temp-dir.js'

const NOWHERE = 'ess: Standard output is closed, or /dev/null: the bytes of this download go nowhere.\n'
const UNREADABLE = 'ess: Standard output is closed, or /dev/null: you cannot read the link there.\n'
const EMPTY = 'ess: Standard input is closed, or /dev/null: the receiver gets an empty file.\n'

/** Runs a line of the shell, in which "$@" is `ess`. */
async function shell(server: string, line: string): Promise<Program> {
  const env = { ESS_SERVER: server, ID }
  const cwd = await tempDir()
  return await run(line, 'sh', ['-c', line, 'sh', process.execPath, ESS], { cwd, env })
}

// Only Linux tells how a stream was opened.
const linux = test.skipIf(process.platform !== 'linux')

linux.each([
  ['"$@" get "$ID" >&-', NOWHERE],
  ['"$@" get "$ID" -o - >&-', NOWHERE],
  ['"$@" get "$ID" -o - <&- >&-', NOWHERE],
  // As Python's subprocess.DEVNULL and daemon(3) open it.
  ['"$@" get "$ID" 1<> /dev/null', NOWHERE],
  ['"$@" get "$ID" -q >&-', ''],
  ['"$@" get "$ID" > /dev/null', ''],
  ['"$@" get "$ID" -o x >&-', ''],
  ['"$@" get "$ID" -o /dev/null <&- >&-', ''],
])('%s is received, and the words for it are %j', async (line, words) => {
  const server = await rawServer()
  const program = await shell(server.url, line)
  const connection = await openDownload(server, 'Content-Length: 5')
  connection.end('hello')
  const { code, stdout, stderr } = await program.ended()
  expect([code, stdout.toString(), stderr]).toEqual([0, '', words])
  expect(await connection.ending()).toBe('fin')
})

linux.each([
  ['"$@" send /dev/null >&-', UNREADABLE],
  ['"$@" send /dev/null --json >&-', UNREADABLE],
  ['"$@" send /dev/null -q >&-', ''],
  ['"$@" send /dev/null > /dev/null', ''],
  ['"$@" send <&-', EMPTY],
  ['"$@" send - <&-', EMPTY],
  ['"$@" send <&- >&-', UNREADABLE + EMPTY],
  ['"$@" send < /dev/null', ''],
  ['"$@" send /dev/null <&-', ''],
])('%s is sent, and the words for it are %j', async (line, words) => {
  const server = await rawServer()
  const program = await shell(server.url, line)
  const upload = await openUpload(server)
  tell(upload, { event: 'connected' })
  tell(upload, { event: 'delivered', bytes: await untilUploaded(upload), confirmed: true })
  upload.end(LAST_CHUNK)
  const { code, stderr } = await program.ended()
  expect([code, stderr]).toEqual([0, words])
})
