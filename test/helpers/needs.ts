import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'vitest'

/**
 * Skips the test where an outside program it needs is not installed, and says which. In CI (`CI=true`)
 * the test fails instead: a test that is skipped there runs nowhere.
 * For a whole file: `beforeEach((context) => needs(context, 'curl'))`.
 */
export function needs(context: TestContext, ...programs: readonly string[]): void {
  const missing = programs.filter((program) => !isInstalled(program))
  if (missing.length === 0) return
  const words = `needs ${missing.join(' and ')}, which is not installed`
  if (process.env['CI'] === 'true') throw new Error(words)
  context.skip(words)
}

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => isExecutable(join(folder, program)))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    // Not there, or not ours to run: the next folder of the PATH may have it.
    return false
  }
}
