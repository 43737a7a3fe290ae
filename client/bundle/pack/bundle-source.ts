import { type BigIntStats, fstatSync } from 'node:fs'
import { EssError, SEVERAL_FILES, safeFileName } from '../../../shared/index.js'
import type { Source } from '../../ends/source.js'
import { Layout } from './layout.js'
import { type Operand, operandsOf } from './operands.js'
import { NO_RULES } from './rules.js'
import { tarReader } from './tar-reader.js'
import { walk } from './walk.js'

export interface BundleOptions {
  /** The name of one folder for the receiver, or of the tar of several things. Default: the folder's own; `files`. */
  readonly name?: string | undefined
  /** Patterns as in a .gitignore file at the top of each folder. Default: nothing is left out. */
  readonly exclude?: readonly string[] | undefined
  /** True leaves out what git ignores, and `.git`. Default: false. */
  readonly gitignore?: boolean | undefined
  /** True sends what symbolic links lead to. Default: false, the links themselves. */
  readonly followLinks?: boolean | undefined
  /** Called with the patterns of `exclude` that matched nothing, if there are some. Default: no one is told. */
  readonly onUnmatched?: ((patterns: readonly string[]) => void) | undefined
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
  const own = await operandsOf(paths)
  const given = safeFileName(options.name ?? '')?.replace(TAR, '') || undefined
  const operands = renamed(own, given)
  const {
    exclude = [],
    gitignore = false,
    followLinks = false,
    writtenTo,
    signal,
    onLooked,
    onUnmatched,
  } = options
  const hasPatterns = exclude.length > 0 || gitignore
  const patterns = hasPatterns
    ? // The library is loaded only for patterns.
      (await import('./pattern-rules.js')).patternRules({
        exclude,
        gitignore,
        judgesOperands: operands.length > 1,
      })
    : undefined
  const rulesOf = patterns?.rulesOf ?? (() => NO_RULES)
  const entries = await walk(operands, {
    ...{ followLinks, rulesOf, signal, onLooked },
    writtenTo: fileAt(writtenTo),
  })
  const [first] = entries
  if (first === undefined) throw new EssError('usage', hasPatterns ? ALL_LEFT_OUT : NOTHING)
  // An empty folder may be meant, but not one of which the patterns left nothing.
  const isBare = entries.length <= operands.length && entries.every(({ kind }) => kind === 'folder')
  if (isBare && patterns?.hasLeftOut()) throw new EssError('usage', ALL_LEFT_OUT)
  const unmatched = patterns?.unmatched() ?? []
  if (unmatched.length > 0) onUnmatched?.(unmatched)
  const layout = new Layout(entries)
  const reader = tarReader(layout)
  const [, second] = operands
  return {
    name: second === undefined && first.kind === 'folder' ? `${first.path}.tar` : tarNamed(given),
    size: layout.size,
    type: 'application/x-tar',
    bundle: { entries: entries.length },
    isRepeatable: true,
    reach: Number.POSITIVE_INFINITY,
    read: (from) => reader.blocks(from),
    close: () => reader.close(),
  }
}

const TAR = /\.tar$/i

function tarNamed(given: string | undefined): string {
  return given === undefined ? SEVERAL_FILES : `${given}.tar`
}

/** The operands under the names that they have in the tar. Several keep their own, to be told apart. */
function renamed(operands: readonly Operand[], name: string | undefined): readonly Operand[] {
  const [one, another] = operands
  return one === undefined || another !== undefined || name === undefined ? operands : [{ ...one, name }]
}

function fileAt(fd: number | undefined): BigIntStats | undefined {
  if (fd === undefined) return undefined
  const stat = fstatSync(fd, { bigint: true })
  return stat.isFile() ? stat : undefined
}

const ALL_LEFT_OUT = 'There is nothing to send: your patterns leave everything out.'
const NOTHING = 'There is nothing to send. Name a file or a folder.'
