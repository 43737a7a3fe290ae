import {
  DEFAULT_CONTENT_TYPE,
  EssError,
  formatBundleNote,
  formatContentDisposition,
  HEADERS,
  PARTIAL_UPLOAD,
  PROBLEM_MEDIA_TYPE,
  safeFileName,
} from '../../shared/index.js'
import { withResolvers } from '../../shared/with-resolvers.js'
import type { SendOptions } from './send-options.js'
import type { Source } from './source.js'

/** The headers of a request that carries `source`. `accept` is the media type wanted for the response. */
export function uploadHeaders(
  source: Source,
  options: SendOptions,
  accept: string,
): Readonly<Record<string, string>> {
  return {
    ...descriptionHeaders(source, options),
    accept: `${accept}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
    // The head goes out at once, and tells a proxy in between that the body comes later.
    expect: '100-continue',
    ...(source.size !== undefined && { 'content-length': String(source.size) }),
  }
}

/** The headers that say what `source` is, and how far its sender can go back. */
export function descriptionHeaders(source: Source, options: SendOptions): Readonly<Record<string, string>> {
  return {
    ...resumeHeader(source),
    'content-type': source.type ?? DEFAULT_CONTENT_TYPE,
    'content-disposition': formatContentDisposition(safeFileName(options.name ?? source.name ?? '')),
    ...noteHeaders(source),
  }
}

/** The headers that the server passes on to the receiver: what is sealed, or that it is a bundle. */
export function noteHeaders({ sealed, bundle }: Source): Readonly<Record<string, string>> {
  return {
    ...(sealed !== undefined && { [HEADERS.essSealed]: sealed }),
    ...(bundle !== undefined && { [HEADERS.essBundle]: formatBundleNote(bundle) }),
  }
}

/** The headers that say how far a sender can go back, here and at another node; none if it can't. */
export function resumeHeader({ reach }: Source): Readonly<Record<string, string>> {
  if (reach === undefined) return {}
  return {
    [HEADERS.essResume]: reach === Number.POSITIVE_INFINITY ? 'rewind' : `window=${reach}`,
    [HEADERS.essReopen]: '?1',
  }
}

/** The headers of a request that carries the rest of `source`, from this offset on. */
export function restHeaders(
  source: Source,
  offset: number,
  accept: string,
): Readonly<Record<string, string>> {
  return {
    accept: `${accept}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
    expect: '100-continue',
    'content-type': PARTIAL_UPLOAD,
    [HEADERS.uploadOffset]: String(offset),
    [HEADERS.uploadComplete]: '?1',
    ...(source.size !== undefined && { 'content-length': String(source.size - offset) }),
  }
}

/** How a lazy body and its request work together. */
export interface LazyBodyHooks {
  /** Resolves when the body may begin. */
  readonly begin: Promise<void>
  /** Called before the first byte goes out. */
  readonly onFirstByte?: () => void
  /** Breaks the exchange. If a body throws, got waits for the end of the response instead. */
  readonly fail: (reason: EssError) => void
}

/** The bytes of `source` from `from` on. It is not read before `begin` resolves. */
export async function* lazyBody(source: Source, hooks: LazyBodyHooks, from = 0): AsyncGenerator<Uint8Array> {
  await hooks.begin
  let isFirst = true
  try {
    for await (const block of source.read(from)) {
      if (isFirst) hooks.onFirstByte?.()
      isFirst = false
      yield block
    }
  } catch (error) {
    hooks.fail(
      error instanceof EssError ? error : new EssError('file-unreadable', String(error), { cause: error }),
    )
    throw error
  }
}

/** A promise that is always settled in the end, so that no body waits for ever. */
export function bodyGate() {
  const { promise: opened, resolve: open, reject } = withResolvers<void>()
  opened.catch(() => {}) // The transfer's own failure says more.
  return { opened, open, giveUp: () => reject(new Error('the transfer ended before its body began')) }
}
