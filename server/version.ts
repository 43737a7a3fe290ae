import { existsSync, readFileSync } from 'node:fs'

/** The version of this package. */
export const VERSION = readVersion()

/** package.json is one folder up from the sources, and two from what is built of them. */
function readVersion(): string {
  const nearest = ['../package.json', '../../package.json']
    .map((path) => new URL(path, import.meta.url))
    .find((path) => existsSync(path))
  const description: unknown = nearest === undefined ? {} : JSON.parse(readFileSync(nearest, 'utf8'))
  const { version } = description as { version?: unknown } // Our own file; the type is looked at below.
  return typeof version === 'string' ? version : '0.0.0'
}
