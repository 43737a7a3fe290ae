import type { Entry } from '../../../shared/tar-entry.js'
import type { Done } from '../save/sink.js'
import type { Standing } from './names.js'

/** Where the entries of a bundle go, in their order. */
export interface Target {
  /** What stands where these names of the next entry lead, from the top down. */
  look(entry: Entry, names: readonly string[]): Promise<Standing>
  /** Makes a folder, or begins a file, whose `names` lead to it from the top. A folder comes before what is in it. */
  begin(entry: Entry, names: readonly string[]): Promise<void>
  /** The next bytes of the file that is begun. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>
  /** The file that is begun is whole. */
  end(): Promise<void>
  /** A second name of a file. Resolves with false if there can be none here. */
  link(names: readonly string[], to: readonly string[]): Promise<boolean>
  /** All is there, and right. */
  close(): Promise<Done>
  /** Leaves nothing that looks whole. Never rejects. */
  abort(): Promise<void>
}
