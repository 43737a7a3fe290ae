/** Node as strict as it gets: a warning has its stack, and an unhandled rejection ends the process. */
export const STRICT_NODE = '--trace-warnings --unhandled-rejections=strict'

/**
 * The environment of a spawned process: this one's, without what would change the outcome (proxies, the
 * project's own variables and configuration), plus `extra`, where undefined removes a variable.
 */
export function childEnv(extra: Readonly<Record<string, string | undefined>> = {}): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => !/_proxy$|^ESS_|^VITEST|^CI$/i.test(name))
  const options = [process.env['NODE_OPTIONS'], STRICT_NODE].filter(Boolean).join(' ')
  const all = {
    ...Object.fromEntries(inherited),
    NODE_OPTIONS: options,
    XDG_CONFIG_HOME: '/nonexistent',
    ...extra,
  }
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

/** Throws when what a Node process wrote to stderr has a warning of Node's, or a stack trace, in it. */
export function expectQuietNode(name: string, stderr: string): void {
  if (/\(node:\d+\)|^\s+at .*[:(]\S*:\d+:\d+\)?$/m.test(stderr))
    throw new Error(`${name} printed a Node warning or a stack trace:\n${stderr}`)
}
