/** The id of the element in which a page has its facts, as JSON. */
export const FACTS_ELEMENT = 'ess'

/** What a page's script is told by the server that made the page. */
export interface PageFacts {
  readonly version: string
  /** Where the server's addresses begin, as seen from the page: a relative URL such as `./` or `../`. */
  readonly root: string
  /** The base of links, if the operator has set one: `https://send.example.org`. Otherwise `root` says all. */
  readonly base?: string
  /** The largest file, in bytes; 0 for no limit. */
  readonly maxUploadBytes: number
  /** How long a link waits for its receiver, in seconds. */
  readonly ttl: number
  /** How long a side that lost its connection has to come back, in seconds; 0 for not at all. */
  readonly resumeWithin: number
  readonly needsTokenToSend: boolean
  readonly needsTokenToReceive: boolean
  /** The path of the client's package for npx, from `root` on; absent where the server doesn't serve it. */
  readonly client?: string
  /** What the page's link leads to. Only on a link's page. */
  readonly link?: LinkFacts
}

/** A file behind a link, as far as the server knows it. */
export interface LinkFacts {
  readonly id: string
  /** The path of the download, from `root` on, with the file's name if it has one. */
  readonly path: string
  /** The size in bytes, of the sealed file if it is sealed; absent if the sender didn't say. */
  readonly size?: number
  /** The file's name; absent if it has none, or is sealed. */
  readonly name?: string
  readonly contentType: string
  readonly isSealed: boolean
  /** The sealed note (the field `Ess-Sealed`). Absent for a file that isn't sealed. */
  readonly sealed?: string
  /** What a bundle says of itself in the open (the field `Ess-Bundle`), such as `tar;entries=12`. */
  readonly bundle?: string
  /** False until the sender of a reservation has come. */
  readonly isReady: boolean
  /** True if a receiver that lost its connection may come back for the rest. */
  readonly isResumable: boolean
}
