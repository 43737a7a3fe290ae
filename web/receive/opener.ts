/** Makes of a body, as it comes, the file that is in it. */
export interface Opener {
  /** Takes the next bytes of the body, and gives what they bring. Throws EssError `not-authentic`. */
  push(bytes: Uint8Array<ArrayBuffer>): Iterable<Uint8Array<ArrayBuffer>>
  /** The last bytes of the file, if the body ends here. Undefined if it doesn't: then something is missing. */
  last(): Uint8Array<ArrayBuffer> | undefined
}

/** For a body that is the file itself. Its end is known by its size. */
export const PLAIN: Opener = {
  push: (bytes) => [bytes],
  last: () => new Uint8Array(0),
}
