import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll } from 'vitest'

/**
 * The setup file of every test file: a Node warning in the test's own process (a leaked listener, a
 * deprecated call) fails the file. An unhandled rejection needs nothing here: vitest fails the run for it.
 * What spawned processes print is looked at by `expectQuietNode`.
 */
const warnings: Error[] = []
const onWarning = (warning: Error) => void warnings.push(warning)

beforeAll(() => {
  process.on('warning', onWarning)
})

afterAll(async () => {
  // Warnings are emitted on the next tick.
  await setImmediate()
  process.off('warning', onWarning)
  if (warnings.length > 0)
    throw new AggregateError(warnings, `Node warned: ${warnings.map((w) => w.stack ?? w.message).join('\n')}`)
})
