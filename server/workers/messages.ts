/** A guard for the value of a field. */
type Guard<Value> = (value: unknown) => value is Value

/** The fields of each kind of message. */
type Table = Readonly<Record<string, Readonly<Record<string, Guard<unknown>>>>>

/** The messages that a table describes. */
type MessageOf<T extends Table> = {
  [Kind in keyof T]: { readonly kind: Kind } & {
    readonly [Field in keyof T[Kind]]: T[Kind][Field] extends Guard<infer Value> ? Value : never
  }
}[keyof T]

const isText = (value: unknown): value is string => typeof value === 'string'
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean'
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/** JSON has no undefined: a field without a value is left out. */
const maybe =
  <Value>(guard: Guard<Value>) =>
  (value: unknown): value is Value | undefined =>
    value === undefined || guard(value)

const listOf =
  <Value>(guard: Guard<Value>) =>
  (value: unknown): value is readonly Value[] =>
    Array.isArray(value) && value.every(guard)

const oneOf =
  <const Word extends string>(...words: readonly Word[]) =>
  (value: unknown): value is Word =>
    words.some((word) => word === value)

/** What is counted for the whole machine. All but the last two belong to a client. */
export const COUNTED = ['sockets', 'reservations', 'waiting', 'room', 'awaiting'] as const
export type Counted = (typeof COUNTED)[number]
const isCounted = oneOf(...COUNTED)

/** The hashes of the tokens that may do something, in hexadecimal; undefined where no token is asked for. */
export interface TokenHashes {
  readonly send?: readonly string[] | undefined
  readonly receive?: readonly string[] | undefined
}

const isTokenHashes = (value: unknown): value is TokenHashes =>
  isObject(value) &&
  maybe(listOf(isText))('send' in value ? value.send : undefined) &&
  maybe(listOf(isText))('receive' in value ? value.receive : undefined)

/** Where a worker's links for other workers end. */
export interface Link {
  readonly node: string
  readonly address: string
}

const isLink = (value: unknown): value is Link =>
  isObject(value) && 'node' in value && isText(value.node) && 'address' in value && isText(value.address)

const isFound = (value: unknown): value is Link | 'gone' | 'between' | 'unknown' | undefined =>
  maybe(isLink)(value) || value === 'gone' || value === 'between' || value === 'unknown'

const isKeyKind = oneOf('id', 'token')

/** What a worker tells its parent. Beside these, connections go from process to process: `ConnectionNote`. */
const TO_PARENT = {
  /** It serves from now on. */
  ready: { gear: isText, why: maybe(isText), address: maybe(isText) },
  /** It can't serve, and ends. */
  failed: { trouble: isText },
  /** It has this connection, and the parent's own copy isn't needed any more. */
  took: { number: isNumber },
  /** This connection is closed. */
  closed: { number: isNumber },
  /** A client has more or less of something. `client` is empty where it is nobody's. */
  share: { what: isCounted, client: isText, by: isNumber },
  /** A client was answered with a 404. */
  missed: { client: isText },
  settle: { what: isKeyKind, key: isText },
  leave: { what: isKeyKind, key: isText },
  find: { ask: isNumber, what: isKeyKind, key: isText },
  await: { ask: isNumber, id: isText },
  forget: { ask: isNumber },
  metrics: { ask: isNumber, metrics: listOf(isObject) },
  /** No transfer is left. */
  drained: {},
} as const satisfies Table

/** What the parent tells a worker. */
const TO_WORKER = {
  /** Comes first. */
  begin: {
    name: isText,
    options: isObject,
    log: oneOf('text', 'json', 'off'),
    /** False where nothing shows the figures. */
    isMeasured: isFlag,
    /** The key by which the log hashes ids, in hexadecimal. */
    logKey: isText,
    /** What workers show each other on their links, in hexadecimal. */
    secret: isText,
    tokens: maybe(isTokenHashes),
    pair: maybe(isObject),
    hstsMaxAge: isNumber,
  },
  tokens: { tokens: isTokenHashes },
  certificate: { pair: isObject },
  /** A client has all it may have of something, or no longer. */
  full: { what: isCounted, client: isText, isFull: isFlag },
  /** A client has missed too often. */
  out: { client: isText, forMs: isNumber },
  found: { ask: isNumber, found: isFound },
  settled: { ask: isNumber },
  /** The workers that are there now, this one included. */
  nodes: { nodes: listOf(isLink) },
  /** This connection is another worker's now. */
  passed: { number: isNumber },
  metrics: { ask: isNumber },
  stop: { drainMs: isNumber },
  stopNow: {},
  /** Every worker is drained: what is still open ends. */
  close: {},
} as const satisfies Table

export type ToParent = MessageOf<typeof TO_PARENT>
export type ToWorker = MessageOf<typeof TO_WORKER>

/** What to do with each kind of message. */
export type Handlers<Message extends { readonly kind: string }, From extends unknown[] = []> = {
  readonly [Kind in Message['kind']]: (
    message: Extract<Message, { readonly kind: Kind }>,
    ...from: From
  ) => void
}

/** Does with a message what is to be done with its kind. */
export function handle<Message extends { readonly kind: string }, From extends unknown[]>(
  handlers: Handlers<Message, From>,
  message: Message,
  ...from: From
): void {
  // The handler of a kind takes its messages, which the compiler forgets when the kind is not known.
  const handler = handlers[message.kind as Message['kind']] as (message: Message, ...from: From) => void
  handler(message, ...from)
}

/** Goes with each connection that the parent gives a worker. */
export interface ConnectionNote {
  readonly number: number
  /** What was read of it already, as base64. Only a connection that another worker had first has this. */
  readonly bytes?: string
  /** True if it was passed to this very worker, which must not pass it on. */
  readonly isPassed?: boolean
  /** Why it is refused, in words: its client has too many. */
  readonly refusal?: string
}

/** Goes with each connection that a worker gives to another one, through the parent. */
export interface PassedNote {
  readonly number: number
  readonly to: string
  readonly bytes: string
}

export function isConnectionNote(value: unknown): value is ConnectionNote {
  return (
    isObject(value) &&
    'number' in value &&
    isNumber(value.number) &&
    (!('bytes' in value) || isText(value.bytes)) &&
    (!('isPassed' in value) || isFlag(value.isPassed)) &&
    (!('refusal' in value) || isText(value.refusal))
  )
}

export function isPassedNote(value: unknown): value is PassedNote {
  return isConnectionNote(value) && value.bytes !== undefined && 'to' in value && isText(value.to)
}

/** Reads a line from a worker. Throws an Error for anything but a message of ours: both ends are one version. */
export function readToParent(line: string): ToParent {
  return read(line, TO_PARENT)
}

/** Reads a line from the parent. Throws an Error likewise. */
export function readToWorker(line: string): ToWorker {
  return read(line, TO_WORKER)
}

function read<T extends Table>(line: string, table: T): MessageOf<T> {
  const message: unknown = JSON.parse(line)
  if (!isMessage(message, table)) throw new Error(`Expected a message, got ${line.slice(0, 80)}`)
  return message
}

function isMessage<T extends Table>(message: unknown, table: T): message is MessageOf<T> {
  if (!isObject(message) || !('kind' in message) || !isText(message.kind)) return false
  const fields = Object.hasOwn(table, message.kind) ? table[message.kind] : undefined
  if (fields === undefined) return false
  const values = new Map<string, unknown>(Object.entries(message))
  return Object.entries(fields).every(([field, isRight]) => isRight(values.get(field)))
}
