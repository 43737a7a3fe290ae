import { realpathSync } from 'node:fs'
import { dirname, sep } from 'node:path'
import { GIT, patternsOfFolder, patternsOfRepository, repositoryIn } from './git-files.js'
import type { Operand } from './operands.js'
import { Patterns } from './patterns.js'
import type { Rules } from './rules.js'

export interface PatternOptions {
  /** Patterns as in a .gitignore file in each folder that was named. */
  readonly exclude: readonly string[]
  /** True leaves out what git ignores, and git's own folder. */
  readonly gitignore: boolean
  /** False if there is one operand: what was named alone is meant, whatever the patterns say. */
  readonly judgesOperands: boolean
}

/** The rules for each operand, and what became of them. */
export interface PatternRules {
  readonly rulesOf: (operand: Operand) => Rules
  /** The patterns of `exclude` that matched nothing so far. */
  readonly unmatched: () => readonly string[]
  /** True if something was left out so far. */
  readonly hasLeftOut: () => boolean
}

export function patternRules(options: PatternOptions): PatternRules {
  const excluded = Patterns.fromList(options.exclude)
  let hasLeftOut = false
  const watched = (rules: Rules): Rules => ({
    leavesOut(path, isFolder) {
      const isOut = rules.leavesOut(path, isFolder)
      hasLeftOut ||= isOut
      return isOut
    },
    within: (path, place, names) => watched(rules.within(path, place, names)),
  })
  return {
    rulesOf: (operand) => watched(new OperandRules(operand, excluded, options)),
    unmatched: () => excluded.unmatched,
    hasLeftOut: () => hasLeftOut,
  }
}

/** Patterns, and how a path in the tar becomes one in their folder: the first characters make way for a prefix. */
interface Level {
  readonly patterns: Patterns
  readonly cut: number
  readonly prefix: string
}

function judge({ patterns, cut, prefix }: Level, path: string, isFolder: boolean) {
  return patterns.judge(prefix + path.slice(cut), isFolder)
}

function takeBack({ patterns, cut, prefix }: Level, path: string): void {
  patterns.takeBack(prefix + path.slice(cut))
}

/** The rules for the operand itself. */
class OperandRules implements Rules {
  readonly #excluded: Patterns
  readonly #options: PatternOptions
  readonly #name: string
  /** Of the folders above the operand, as far as they are in its repository. */
  readonly #above: readonly Level[]

  constructor(operand: Operand, excluded: Patterns, options: PatternOptions) {
    this.#excluded = excluded
    this.#options = options
    this.#name = operand.name
    this.#above = options.gitignore ? levelsAbove(operand) : []
  }

  leavesOut(path: string, isFolder: boolean): boolean {
    if (!this.#options.judgesOperands) return false
    const own = { patterns: this.#excluded, cut: 0, prefix: '' }
    return new FolderRules(own, this.#above, this.#options.gitignore).leavesOut(path, isFolder)
  }

  within(path: string, place: string | Buffer, names: readonly string[]): Rules {
    for (const level of this.#above) takeBackAll(level)
    const own = { patterns: this.#excluded, cut: this.#name.length + 1, prefix: '' }
    const { gitignore } = this.#options
    return new FolderRules(own, this.#above, gitignore).within(path, place, names)
  }
}

/** What was named is sent although it is in a folder that git ignores. The patterns still count for what is in it. */
function takeBackAll({ patterns, prefix }: Level): void {
  const names = prefix.split('/')
  for (const at of names.keys()) patterns.takeBack(names.slice(0, at + 1).join('/'))
}

class FolderRules implements Rules {
  readonly #excluded: Level
  /** The deepest folder's last: what it says counts first. */
  readonly #git: readonly Level[]
  readonly #isGit: boolean

  constructor(excluded: Level, git: readonly Level[], isGit: boolean) {
    this.#excluded = excluded
    this.#git = git
    this.#isGit = isGit
  }

  leavesOut(path: string, isFolder: boolean): boolean {
    if (judge(this.#excluded, path, isFolder) === 'out') return true
    if (!this.#isGit) return false
    return path.endsWith(`/${GIT}`) || path === GIT || this.#isIgnored(path, isFolder)
  }

  within(path: string, place: string | Buffer, names: readonly string[]): Rules {
    if (!this.#isGit) return this
    // Git looks into another repository with that one's patterns alone.
    const isRepository = names.includes(GIT) && repositoryIn(place) !== undefined
    const outer = isRepository ? [] : this.#git
    const own = [
      ...(isRepository ? patternsOfRepository(place) : []),
      ...patternsOfFolder(place, names, path),
    ]
    if (own.length === 0 && outer === this.#git) return this
    const levels = own.map((patterns) => ({ patterns, cut: path.length + 1, prefix: '' }))
    return new FolderRules(this.#excluded, [...outer, ...levels], true)
  }

  #isIgnored(path: string, isFolder: boolean): boolean {
    const at = this.#git.findLastIndex((level) => judge(level, path, isFolder) !== undefined)
    const decisive = this.#git[at]
    if (decisive === undefined) return false
    if (judge(decisive, path, isFolder) === 'out') return true
    // For the patterns of the outer folders, all that is in this one would still be left out with it.
    if (isFolder)
      for (const outer of this.#git.slice(0, at))
        if (judge(outer, path, isFolder) === 'out') takeBack(outer, path)
    return false
  }
}

/** The patterns in the folders above an operand, up to the top of its repository. */
function levelsAbove({ place, name }: Operand): Level[] {
  // As Latin-1, so that each character is a byte.
  const real = realpathSync.native(place, 'latin1')
  const levels: Level[] = []
  for (let folder = dirname(real); ; folder = dirname(folder)) {
    const at = Buffer.from(folder, 'latin1')
    const rest = Buffer.from(real.slice(folder.endsWith(sep) ? folder.length : folder.length + 1), 'latin1')
    const prefix = rest.toString().replaceAll(sep, '/')
    const add = (patterns: Patterns) => levels.unshift({ patterns, cut: name.length, prefix })
    for (const patterns of patternsOfFolder(at, undefined, folder)) add(patterns)
    if (repositoryIn(at) !== undefined) {
      for (const patterns of patternsOfRepository(at)) add(patterns)
      return levels
    }
    if (folder === dirname(folder)) return []
  }
}
