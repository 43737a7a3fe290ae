import type { Entry } from '../../../shared/tar-entry.js'
import type { Done } from '../save/sink.js'

/** Where the entries of a bundle go, in their order. */
export interface Target {
  /** Makes a folder, or begins a file, whose `names` lead to it from the top. A folder comes before what is in it. */
  begin(entry: Entry, names: readonly string[]): Promise<void>
  /** The next bytes of the file that is begun. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>
  /** The file that is begun is whole. */
  end(): Promise<void>
  /** A link. Resolves with false if none can be made here. `names` lead to it, and `to` what it is a link to, if that is a file. */
  link(entry: Entry, names: readonly string[], to: readonly string[] | undefined): Promise<boolean>
  /** All is there, and right. */
  close(): Promise<Done>
  /** Leaves nothing that looks whole. Never rejects. */
  abort(): Promise<void>
}
