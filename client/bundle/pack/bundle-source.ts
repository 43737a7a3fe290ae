import { type BigIntStats, fstatSync } from 'node:fs'
import { EssError, SEVERAL_FILES } from '../../../shared/index.js'
import type { Source } from '../../ends/source.js'
import { Layout } from './layout.js'
import { operandsOf } from './operands.js'
import { NO_RULES } from './rules.js'
import { tarReader } from './tar-reader.js'
import { walk } from './walk.js'

export interface BundleOptions {
  /** Patterns as in a .gitignore file at the top of each folder. Default: nothing is left out. */
  readonly exclude?: readonly string[] | undefined
  /** True leaves out what git ignores, and `.git`. Default: false. */
  readonly gitignore?: boolean | undefined
  /** True sends what symbolic links lead to. Default: false, the links themselves. */
  readonly followLinks?: boolean | undefined
  /** An open file that is written meanwhile, such as standard output. If it is met, it is refused. Default: none. */
  readonly writtenTo?: number | undefined
  /** Aborting it ends the look at what is to be sent. Default: it can't be ended. */
  readonly signal?: AbortSignal | undefined
  /** Called while all is looked at, with the number of entries so far. Default: no one is told. */
  readonly onLooked?: ((entries: number) => void) | undefined
}

/**
 * Makes a tar of files and folders, without a temporary file: it is made as it is read. All of it is looked at first, so
 * its size is known, and its bytes are the same from any offset. Throws EssError `file-unreadable`, `usage` or
 * `interrupted`.
 */
export async function bundleSource(
  paths: readonly (string | Buffer)[],
  options: BundleOptions = {},
): Promise<Source> {
  const operands = await operandsOf(paths)
  const { exclude = [], gitignore = false, followLinks = false, writtenTo, signal, onLooked } = options
  const hasPatterns = exclude.length > 0 || gitignore
  const rulesOf = hasPatterns
    ? // The library is loaded only for patterns.
      (await import('./pattern-rules.js')).patternRules({
        exclude,
        gitignore,
        judgesOperands: operands.length > 1,
      })
    : () => NO_RULES
  const entries = await walk(operands, {
    ...{ followLinks, rulesOf, signal, onLooked },
    writtenTo: fileAt(writtenTo),
  })
  const [first] = entries
  if (first === undefined) throw new EssError('usage', hasPatterns ? ALL_LEFT_OUT : NOTHING)
  const layout = new Layout(entries)
  const reader = tarReader(layout)
  const [, second] = operands
  return {
    name: second === undefined && first.kind === 'folder' ? `${first.path}.tar` : SEVERAL_FILES,
    size: layout.size,
    type: 'application/x-tar',
    bundle: { entries: entries.length },
    isRepeatable: true,
    reach: Number.POSITIVE_INFINITY,
    read: (from) => reader.blocks(from),
    close: () => reader.close(),
  }
}

function fileAt(fd: number | undefined): BigIntStats | undefined {
  if (fd === undefined) return undefined
  const stat = fstatSync(fd, { bigint: true })
  return stat.isFile() ? stat : undefined
}

const ALL_LEFT_OUT = 'There is nothing to send: your patterns leave everything out.'
const NOTHING = 'There is nothing to send. Name a file or a folder.'
