import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { makeCertificate } from './certificate.js'
import { compilePrograms } from './compile.js'
import { maxDescriptors } from './machine.js'
import type { Bench } from './scenario.js'
import { makeSubjects, type Subject } from './subjects.js'

/** The project's folder, seen from where this is compiled to: `dist/bench`. */
export const ROOT = resolve(import.meta.dirname, '../..')
/** This bench's sources, with its node_modules. */
export const SOURCES = join(ROOT, 'bench')

/**
 * Builds what a run needs, in a folder that is gone when this process ends. Throws where there is no Linux, or no
 * C compiler.
 */
export function setUp({ essDist, isQuick }: { readonly essDist: string; readonly isQuick: boolean }): {
  readonly bench: Bench
  readonly subjects: ReadonlyMap<string, Subject>
} {
  if (process.platform !== 'linux') throw new Error('Expected Linux: the CPU of a process is read from /proc')
  const scratch = mkdtempSync(join(tmpdir(), 'ess-bench-'))
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))
  // Through 'exit', so that the folder goes too.
  process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143))
  const programs = compilePrograms(join(SOURCES, 'c'), scratch)
  const certificate = programs.speakTls ? makeCertificate(scratch) : undefined
  return {
    bench: { programs, certificate, isQuick, maxDescriptors: maxDescriptors(), essDist, scratch },
    subjects: makeSubjects({
      programs,
      essDist,
      sources: SOURCES,
      compiled: import.meta.dirname,
      scratch,
    }),
  }
}
