import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startServer, type TestServer } from './start-server.js'
import { tempDir } from './temp-dir.js'

/** A secret as `--cluster-secret-file` has it. */
export async function secretFile(secret = 'a secret that all nodes of this cluster share'): Promise<string> {
  const path = join(await tempDir(), 'secret')
  await writeFile(path, `${secret}\n`, { mode: 0o600 })
  return path
}

/** Starts real servers, each a process, as nodes of one cluster. They stop when the test is over. */
export async function startNodes(
  count: number,
  redisUrl: string,
  ...flags: readonly string[]
): Promise<TestServer[]> {
  const secret = await secretFile()
  const cluster = ['--cluster', redisUrl, '--cluster-listen', '127.0.0.1:0', '--cluster-secret-file', secret]
  return await Promise.all(Array.from({ length: count }, () => startServer(...cluster, ...flags)))
}
