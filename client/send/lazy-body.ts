import {
  DEFAULT_CONTENT_TYPE,
  EssError,
  formatContentDisposition,
  PROBLEM_MEDIA_TYPE,
  safeFileName,
} from '../../shared/index.js'
import { withResolvers } from '../../shared/with-resolvers.js'
import type { SendOptions } from './send-options.js'
import type { Source } from './source.js'

/** The head of a request that carries `source`. `accept` is the form in which its answer is wanted. */
export function uploadHeaders(
  source: Source,
  options: SendOptions,
  accept: string,
): Readonly<Record<string, string>> {
  return {
    accept: `${accept}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
    // The head goes out at once, and a proxy in between learns that the body comes later.
    expect: '100-continue',
    'content-type': DEFAULT_CONTENT_TYPE,
    'content-disposition': formatContentDisposition(safeFileName(options.name ?? source.name ?? '')),
    ...(source.size !== undefined && { 'content-length': String(source.size) }),
  }
}

/** What a lazy body asks and tells. */
export interface LazyBodyHooks {
  /** Resolves when the body may begin. */
  readonly begin: Promise<void>
  /** Called before the first byte is handed on. */
  readonly onFirstByte?: () => void
  /** Breaks the exchange: got waits for the end of the response when a body throws. */
  readonly fail: (reason: EssError) => void
}

/** The bytes of `source`, not read before they may go. */
export async function* lazyBody(source: Source, hooks: LazyBodyHooks): AsyncGenerator<Uint8Array> {
  await hooks.begin
  let isFirst = true
  try {
    for await (const block of source.read()) {
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

/** A promise that is always settled in the end, so that a body never waits for nobody. */
export function bodyGate() {
  const { promise: opened, resolve: open, reject } = withResolvers<void>()
  opened.catch(() => {}) // The transfer's own failure says more.
  return { opened, open, giveUp: () => reject(new Error('the transfer ended before its body began')) }
}
