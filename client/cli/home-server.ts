import { readFileSync } from 'node:fs'
import { DEFAULT_SERVER } from '../http/default-server.js'

/**
 * The server that is meant where no other is named. A client that came from a server (`npx https://…/ess.tgz`,
 * `npm i -g https://…/ess.tgz`) has that server's address beside it. Any other client uses `DEFAULT_SERVER`.
 */
export const HOME_SERVER = readHomeServer() ?? DEFAULT_SERVER

function readHomeServer(): string | undefined {
  try {
    const { server }: { server?: unknown } = JSON.parse(
      // In the bundle, the folder above is that of the program: see scripts/client-package.mjs.
      readFileSync(new URL('../server.json', import.meta.url), 'utf8'),
    )
    return typeof server === 'string' ? server : undefined
  } catch {
    // No such file: the client didn't come from a server.
    return undefined
  }
}
