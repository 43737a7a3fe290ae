/** What is left out of a folder, and of those in it. */
export interface Rules {
  /** `path` is that of an entry in the folder. */
  leavesOut(path: string, isFolder: boolean): boolean
  /** The rules in a folder of the folder. `names` are those of its entries, each character a byte. */
  within(path: string, place: string | Buffer, names: readonly string[]): Rules
}

/** Nothing is left out. */
export const NO_RULES: Rules = { leavesOut: () => false, within: () => NO_RULES }
