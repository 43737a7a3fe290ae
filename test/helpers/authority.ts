import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { run } from './run.js'
import { tempDir } from './temp-dir.js'

/** A certificate for a server, signed by an authority between it and a root. Paths of PEM files. */
export interface Chain {
  /** What a client has to trust. */
  readonly root: string
  readonly key: string
  /** The server's certificate alone. */
  readonly leaf: string
  /** With the authority's behind it, as a server should show it. */
  readonly full: string
}

/** Makes a chain for `name`, good for `days` from now; a negative number is one that has expired. */
export async function chainFor(name: string, days: number): Promise<Chain> {
  const folder = await tempDir()
  const at = (file: string) => join(folder, file)
  const openssl = async (line: string) => {
    const { code, stderr } = await (await run('openssl', 'openssl', line.split(' '), { cwd: folder })).ended()
    expect(code, stderr).toBe(0)
  }
  const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
  await writeFile(at('ca.ext'), 'basicConstraints=critical,CA:TRUE\n')
  await writeFile(at('leaf.ext'), `subjectAltName=DNS:${name}\n`)
  await openssl(`req -x509 ${newKey} -days 30 -subj /CN=root -keyout root.key -out root.pem`)
  for (const [what, of, signer, ext, lasts] of [
    ['between', 'between', 'root', 'ca.ext', 30],
    ['leaf', name, 'between', 'leaf.ext', days],
  ] as const) {
    await openssl(`req ${newKey} -subj /CN=${of} -keyout ${what}.key -out ${what}.csr`)
    await openssl(
      `x509 -req -in ${what}.csr -CA ${signer}.pem -CAkey ${signer}.key -CAcreateserial -days ${lasts} -extfile ${ext} -out ${what}.pem`,
    )
  }
  await writeFile(
    at('full.pem'),
    (await readFile(at('leaf.pem'), 'utf8')) + (await readFile(at('between.pem'), 'utf8')),
  )
  return { root: at('root.pem'), key: at('leaf.key'), leaf: at('leaf.pem'), full: at('full.pem') }
}
