import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { freemem, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { makeCertificate } from './certificate.js'
import { compilePrograms } from './compile.js'
import { maxDescriptors } from './machine.js'
import { type Bench, GIB } from './scenario.js'
import { makeSubjects, type Subject } from './subjects.js'

/** The project's folder, seen from where this is compiled to: `dist/bench`. */
export const ROOT = resolve(import.meta.dirname, '../..')
/** This bench's sources, with its node_modules. */
export const SOURCES = join(ROOT, 'bench')

/** Linux's file system in memory. */
const MEMORY_FOLDER = '/dev/shm'
/** The clients' files, and half as much again for everybody else. */
const ROOM_BYTES = { quick: 4 * GIB, full: 10 * GIB }

/**
 * Builds what a run needs, in a folder that is gone when this process ends. Throws where there is no Linux, or no
 * C compiler.
 */
export function setUp({ essDist, isQuick }: { readonly essDist: string; readonly isQuick: boolean }): {
  readonly bench: Bench
  readonly subjects: ReadonlyMap<string, Subject>
} {
  if (process.platform !== 'linux') throw new Error('Expected Linux: the CPU of a process is read from /proc')
  const scratch = makeFolder(tmpdir())
  const files = hasRoomInMemory(isQuick ? ROOM_BYTES.quick : ROOM_BYTES.full)
    ? makeFolder(MEMORY_FOLDER)
    : scratch
  // Through 'exit', so that the folder goes too.
  process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143))
  const programs = compilePrograms(join(SOURCES, 'c'), scratch)
  const certificate = programs.speakTls ? makeCertificate(scratch) : undefined
  return {
    bench: { programs, certificate, isQuick, maxDescriptors: maxDescriptors(), essDist, scratch, files },
    subjects: makeSubjects({
      programs,
      essDist,
      sources: SOURCES,
      compiled: import.meta.dirname,
      scratch,
    }),
  }
}

function makeFolder(parent: string): string {
  const folder = mkdtempSync(join(parent, 'ess-bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function hasRoomInMemory(bytes: number): boolean {
  try {
    accessSync(MEMORY_FOLDER, constants.W_OK)
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER)
    return Math.min(bavail * bsize, freemem()) >= bytes
  } catch {
    return false // There is none.
  }
}
