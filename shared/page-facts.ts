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
  /** True if the server hands out the client, at `ROUTES.clientPackageOfVersion`. */
  readonly servesClient: boolean
  /** What the page's link leads to. Only on a link's page. */
  readonly link?: LinkFacts
}

/** A file behind a link, as far as the server knows it. */
export interface LinkFacts {
  readonly id: string
  /** The size in bytes, of the sealed file if it is sealed; absent if the sender didn't say. */
  readonly size?: number
  /** The file's name; absent if it has none, or is sealed. */
  readonly name?: string
  readonly contentType: string
  /** The sealed note (the field `Ess-Sealed`); absent for a file that isn't sealed. */
  readonly sealed?: string
  /** What a bundle says of itself in the open (the field `Ess-Bundle`), such as `tar;entries=12`. */
  readonly bundle?: string
  /** False while only the sender can say whether the file is sealed or a bundle, and it has not come. */
  readonly isNoted: boolean
  /** False until the sender of a reservation has come. */
  readonly isReady: boolean
  /** True if a receiver that lost its connection may come back for the rest. */
  readonly isResumable: boolean
}
