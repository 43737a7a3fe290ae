/** Files of `ess` as it is built. */
export const BUNDLE = 'ess/ess.cjs'
const MODULES = 'client/main.js'

/** What is started, by the name under which it is measured; undefined for a Node that has nothing to do. */
export const STARTS: Readonly<Record<string, string | undefined>> = {
  'node -e 0': undefined,
  // The command of the package, and what a server hands out.
  'ess send': BUNDLE,
  'ess send, unbundled': MODULES,
}
