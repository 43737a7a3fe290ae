import {
  accessSync,
  type BigIntStats,
  constants,
  lstatSync,
  readdirSync,
  readlinkSync,
  statSync,
} from 'node:fs'
import { EssError } from '../../../shared/index.js'
import { missing } from '../../files/missing.js'
import { codeOf, errnoWords } from '../../node/errno-words.js'
import { interrupted } from '../../node/interrupted.js'
import { LinkCheck, TROUBLES, type Trouble } from '../link-check.js'
import type { Entry } from './entry.js'
import { KernelFiles } from './kernel-files.js'
import { isMadeWhenRead } from './made-when-read.js'
import { fromBytes, shownBytes, shownName, toBytes } from './names.js'
import { NOT_UTF8_NAME, type Operand, placeIn } from './operands.js'
import { cannotSend, type Refusal } from './refusals.js'
import type { Rules } from './rules.js'
import { Slices } from './slices.js'

export interface WalkOptions {
  /** True sends what symbolic links lead to. What was named to be sent is followed anyway. */
  readonly followLinks: boolean
  readonly rulesOf: (operand: Operand) => Rules
  /** A file that is written meanwhile. */
  readonly writtenTo: Pick<BigIntStats, 'dev' | 'ino'> | undefined
  /** Aborting it ends the walk. */
  readonly signal: AbortSignal | undefined
  /** Called with the number of entries so far, some fifty times in a second. */
  readonly onLooked: ((entries: number) => void) | undefined
}

/** A folder on the way down. */
interface Folder {
  readonly dev: bigint
  readonly ino: bigint
  readonly path: string
  readonly parent: Folder | undefined
}

/** What is still to be looked at. */
interface Ahead {
  readonly operand: Operand
  readonly path: string
  /** Undefined for what was named to be sent. */
  readonly parent: Folder | undefined
  /** What its folder leaves out. */
  readonly rules: Rules
}

/**
 * Looks at all that is to be sent. The order is that of the names' bytes, with each folder before its content. Throws
 * EssError `file-unreadable`, which names what can't be sent, or `interrupted`.
 */
export async function walk(operands: readonly Operand[], options: WalkOptions): Promise<readonly Entry[]> {
  const walker = new Walker(operands, options)
  await walker.run()
  return walker.entries
}

class Walker {
  readonly entries: Entry[] = []
  readonly #options: WalkOptions
  readonly #tops: ReadonlySet<string>
  readonly #refusals: Refusal[] = []
  /** What is ahead, the next one at the end. */
  readonly #ahead: Ahead[]
  /** The path of each file that has several names, by its device and inode. */
  readonly #linked = new Map<string, string>()
  readonly #kernelFiles = new KernelFiles()

  constructor(operands: readonly Operand[], options: WalkOptions) {
    this.#options = options
    this.#tops = new Set(operands.map(({ name }) => name))
    this.#ahead = operands
      .map((operand) => {
        return { operand, path: operand.name, parent: undefined, rules: options.rulesOf(operand) }
      })
      .reverse()
  }

  async run(): Promise<void> {
    const { signal, onLooked } = this.#options
    const slices = new Slices()
    for (;;) {
      if (signal?.aborted) throw interrupted()
      const next = this.#ahead.pop()
      if (next === undefined) break
      if (slices.isOver) {
        onLooked?.(this.entries.length)
        await slices.next()
      }
      const stat = this.#stat(next)
      if (stat === 'missing') throw await missing(next.operand.shown, undefined)
      if (stat !== undefined && !this.#isLeftOut(next, stat)) await this.#take(next, stat)
    }
    this.#checkLinks()
    if (this.#refusals.length > 0) throw cannotSend(this.#refusals)
  }

  /** Undefined if it was refused, or is not there any more. `missing` for what was named. */
  #stat(one: Ahead): BigIntStats | 'missing' | undefined {
    const place = placeIn(one.operand, one.path)
    const isNamed = one.parent === undefined
    const isFollowed = this.#options.followLinks || isNamed
    try {
      const stat = (isFollowed ? statSync : lstatSync)(place, STAT)
      if (stat !== undefined) return stat
      if (isNamed) return 'missing'
      if (isFollowed) this.#refuseLink(one, 'it links to what is not there')
    } catch (error) {
      if (isNamed && codeOf(error) === 'ENOTDIR') return 'missing'
      if (isFollowed && !isNamed) this.#refuseLink(one, words(error))
      else this.#refuse(one, words(error))
    }
    return undefined
  }

  /** Refuses what can't be followed, unless it is a link that is left out, or was removed a moment ago. */
  #refuseLink(one: Ahead, why: string): void {
    try {
      const link = lstatSync(placeIn(one.operand, one.path), STAT)
      if (link !== undefined && !this.#isLeftOut(one, link)) this.#refuse(one, why)
    } catch {
      this.#refuse(one, why)
    }
  }

  #isLeftOut({ path, rules }: Ahead, stat: BigIntStats): boolean {
    return rules.leavesOut(path, stat.isDirectory())
  }

  async #take(one: Ahead, stat: BigIntStats): Promise<void> {
    if (isTooLong(one.path)) this.#refuse(one, 'its name is too long for a receiver')
    else if (this.#isOfKernel(one, stat)) return
    else if (stat.isDirectory()) this.#folder(one, stat)
    else if (stat.isFile()) await this.#file(one, stat)
    else if (stat.isSymbolicLink()) this.#link(one, stat)
    else this.#refuse(one, `it is ${KINDS.find(([is]) => stat[is]())?.[1] ?? 'no file'}`)
  }

  /** Refuses files and folders that the kernel makes up, before one of them is opened. */
  #isOfKernel(one: Ahead, stat: BigIntStats): boolean {
    if (!stat.isDirectory() && !stat.isFile()) return false
    const system = this.#kernelFiles.systemOf(placeIn(one.operand, one.path), stat.dev)
    if (system === undefined) return false
    this.#refuse(one, `it is not stored, but made by the kernel when it is read (${system})`)
    return true
  }

  #folder(one: Ahead, { dev, ino, mode, mtimeNs }: BigIntStats): void {
    const { operand, path, parent } = one
    const above = this.#options.followLinks ? ancestor(parent, dev, ino) : undefined
    if (above !== undefined) {
      this.#refuse(one, `it leads back to ${shownName(above.path)}`)
      return
    }
    const place = placeIn(operand, path)
    try {
      // As Latin-1, so that each character is a byte.
      const names = readdirSync(place, 'latin1').sort()
      const rules = one.rules.within(path, place, names)
      const folder = { dev, ino, path, parent }
      this.entries.push({ kind: 'folder', path, ...common(mode, mtimeNs) })
      for (const name of names.reverse()) this.#find(name, operand, folder, rules)
    } catch (error) {
      this.#refuse(one, words(error))
    }
  }

  #find(bytes: string, operand: Operand, parent: Folder, rules: Rules): void {
    const name = fromBytes(bytes)
    if (name !== undefined) this.#ahead.push({ operand, path: `${parent.path}/${name}`, parent, rules })
    else if (!isBadNameLeftOut(bytes, parent, rules))
      this.#refusals.push({ path: `${shownName(parent.path)}/${shownBytes(bytes)}`, why: NOT_UTF8_NAME })
  }

  async #file(one: Ahead, stat: BigIntStats): Promise<void> {
    const { operand, path } = one
    const { dev, ino, mode, mtimeNs, nlink, size } = stat
    const id = `${dev}:${ino}`
    const target = nlink > 1n ? this.#linked.get(id) : undefined
    if (target !== undefined) {
      this.entries.push({ kind: 'hard link', path, target, ...common(mode, mtimeNs) })
      return
    }
    const { writtenTo } = this.#options
    const isOutput = writtenTo !== undefined && writtenTo.ino === ino && writtenTo.dev === dev
    const why = isOutput ? 'standard output goes there' : await whyUnreadable(placeIn(operand, path), stat)
    if (why !== undefined) {
      this.#refuse(one, why)
      return
    }
    if (nlink > 1n) this.#linked.set(id, path)
    const seen = { dev, ino, size, mtimeNs }
    this.entries.push({ kind: 'file', path, ...common(mode, mtimeNs), size: Number(size), operand, seen })
  }

  #link(one: Ahead, { mtimeNs }: BigIntStats): void {
    const { operand, path } = one
    try {
      const target = fromBytes(readlinkSync(placeIn(operand, path), 'latin1'))
      if (target === undefined) this.#refuse(one, 'it links to a name that is not UTF-8', true)
      // A link's own permissions count nowhere, and differ between systems.
      else this.entries.push({ kind: 'symbolic link', path, target, ...common(0o777n, mtimeNs) })
    } catch (error) {
      this.#refuse(one, words(error))
    }
  }

  #checkLinks(): void {
    const links = this.entries.flatMap((entry) => (entry.kind === 'symbolic link' ? [entry] : []))
    const asBytes = ({ path, target }: { path: string; target: string }) => ({
      path: toBytes(path),
      target: toBytes(target),
    })
    const check = new LinkCheck([...this.#tops].map(toBytes), links.map(asBytes))
    for (const link of links) {
      const trouble = check.troubleWith(asBytes(link))
      if (trouble !== undefined)
        this.#refuse(link, `it links to ${shownName(link.target)}, ${LINK_WORDS[trouble]}`, true)
    }
  }

  #refuse({ path }: { readonly path: string }, why: string, isLink = false): void {
    this.#refusals.push({ path: shownName(path), why, isLink, isNamed: this.#tops.has(path) })
  }
}

/** Why a link can't be sent, after where it leads. */
const LINK_WORDS = {
  [TROUBLES.absolute]: 'an absolute path, which is another place for the receiver',
  [TROUBLES.through]: 'which goes up behind another link',
  [TROUBLES.out]: 'out of what is sent',
  [TROUBLES.renamed]: 'out of its folder and back, and the receiver may give that another name',
} as const satisfies Record<Trouble, string>

const STAT = { bigint: true, throwIfNoEntry: false } as const

const KINDS = [
  ['isSocket', 'a socket'],
  ['isFIFO', 'a pipe'],
  ['isCharacterDevice', 'a device'],
  ['isBlockDevice', 'a device'],
] as const satisfies readonly (readonly [keyof BigIntStats, string])[]

const NS_PER_SECOND = 1_000_000_000n

function common(mode: bigint, mtimeNs: bigint) {
  const rest = mtimeNs % NS_PER_SECOND
  // A division of BigInts rounds towards zero, which is later for a time before 1970.
  const mtime = Number(mtimeNs / NS_PER_SECOND) - (rest < 0n ? 1 : 0)
  return { mode: Number(mode & 0o777n), mtime }
}

/** No receiver can be told to have more than Linux has. macOS counts a name's characters, and not its bytes. */
const MAX_PATH_BYTES = 4095
const MAX_NAME_BYTES = 255

function isTooLong(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return Buffer.byteLength(name) > MAX_NAME_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES
}

/** The folder above that is the same as this one. */
function ancestor(folder: Folder | undefined, dev: bigint, ino: bigint): Folder | undefined {
  for (let above = folder; above !== undefined; above = above.parent)
    if (above.ino === ino && above.dev === dev) return above
  return undefined
}

/** A pattern may match the rest of the name, or the character that stands for what is not UTF-8. */
function isBadNameLeftOut(bytes: string, { path }: Folder, rules: Rules): boolean {
  const readable = `${path}/${Buffer.from(bytes, 'latin1')}`
  return rules.leavesOut(readable, false) || rules.leavesOut(readable, true)
}

async function whyUnreadable(place: string | Buffer, stat: BigIntStats): Promise<string | undefined> {
  try {
    accessSync(place, constants.R_OK)
    return (await isMadeWhenRead(place, stat)) ? 'its size is not known before it is read' : undefined
  } catch (error) {
    return words(error)
  }
}

function words(error: unknown): string {
  if (error instanceof EssError) throw error
  const { message } = error as Error // The file system throws Errors.
  return errnoWords('read', error) ?? (codeOf(error) || message)
}
