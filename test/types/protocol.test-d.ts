import {
  acceptsTrailers,
  announcesLength,
  type BundleNote,
  CORS_HEADERS,
  type ConnectedEvent,
  closedDownloadPath,
  closedUploadPath,
  codeOfProblem,
  curlLine,
  type DEFAULT_CONTENT_TYPE,
  type DeliveredEvent,
  DOWNLOAD_HEADERS,
  downloadPath,
  EssError,
  EXIT_STATUS,
  type ExitStatus,
  encodeStatus,
  endingOf,
  type FailedEvent,
  formatAgainstLimit,
  formatBundleNote,
  formatBytes,
  formatContentDisposition,
  formatCount,
  formatDuration,
  formatLimit,
  formatNumber,
  formatPart,
  fromProblem,
  HEADERS,
  type InterruptedEvent,
  isProblemCode,
  isSealedNote,
  isSocketId,
  isTerminal,
  isTextType,
  joinUrl,
  type LENGTH_TRAILER,
  type MAX_SEALED_NOTE,
  type MAX_TEXT_BYTES,
  type MOST_ENTRIES,
  type MovedEvent,
  type NODE_TAG_LENGTH,
  type OpenedEvent,
  type PARTIAL_UPLOAD,
  PASS_THROUGH_HEADERS,
  PREFLIGHT_HEADERS,
  type PROBLEM_MEDIA_TYPE,
  PROBLEMS,
  type Problem,
  type ProblemCode,
  type ProgressEvent,
  parseBundleNote,
  parseByteSize,
  parseContentDisposition,
  parseDuration,
  percentDecode,
  printable,
  problemLine,
  problemSentences,
  problemText,
  QUERY,
  quoteUrl,
  type ReservedEvent,
  type ResumedEvent,
  type RewindEvent,
  ROUTES,
  resolveDownloadUrl,
  type SEALED_NOTE_KEY_INFO,
  type SEVERAL_FILES,
  type SIGNED_TOKEN_LENGTH,
  type SOCKET_ID_LENGTH,
  SOCKET_ID_PATTERN,
  type STATUS_MEDIA_TYPES,
  type STATUS_VERSION,
  StatusDecoder,
  type StatusEvent,
  type StatusForm,
  safeContentType,
  safeFileName,
  sealedLink,
  shortenName,
  shorterThanAsked,
  splitSealedLink,
  type TEXT_TYPE,
  type TerminalEvent,
  toFailedProblem,
  toProblem,
  type UPLOAD_TOKEN_LENGTH,
  UPLOAD_TOKEN_PATTERN,
  uploadEventsPath,
  uploadPath,
  urlAtServer,
  type WaitingEvent,
  withoutUserinfo,
} from 'ephemeral-socket-service/protocol'
import { expectTypeOf, test } from 'vitest'

test('an event is known by its name', () => {
  expectTypeOf<StatusEvent>().toEqualTypeOf<
    | OpenedEvent
    | ReservedEvent
    | WaitingEvent
    | ConnectedEvent
    | ProgressEvent
    | InterruptedEvent
    | ResumedEvent
    | RewindEvent
    | MovedEvent
    | DeliveredEvent
    | FailedEvent
  >()
  expectTypeOf<Extract<StatusEvent, { event: 'opened' }>>().toEqualTypeOf<OpenedEvent>()
  expectTypeOf<OpenedEvent>().toHaveProperty('upload').toEqualTypeOf<string | undefined>()
  expectTypeOf(isTerminal).guards.toEqualTypeOf<TerminalEvent>()
})

test('the status stream is written and read', () => {
  expectTypeOf(shorterThanAsked).toEqualTypeOf<(ttl: number, asked: number) => string>()
  expectTypeOf(encodeStatus).parameters.toEqualTypeOf<[StatusEvent, 'ndjson' | 'text' | 'sse']>()
  expectTypeOf(new StatusDecoder().push('')).toEqualTypeOf<StatusEvent[]>()
})

test('a problem is made of an error, and an error of whatever came', () => {
  expectTypeOf(fromProblem).parameters.toEqualTypeOf<[unknown, ProblemCode]>()
  expectTypeOf(fromProblem).returns.toEqualTypeOf<EssError | undefined>()
  expectTypeOf(toProblem).parameter(0).toEqualTypeOf<EssError>()
  expectTypeOf(resolveDownloadUrl).returns.toEqualTypeOf<URL>()
  // @ts-expect-error a code is one of those there are
  new EssError('bad-moon')
})

test('a problem has its status and its exit status in one table', () => {
  expectTypeOf<keyof typeof PROBLEMS>().toEqualTypeOf<ProblemCode>()
  expectTypeOf(PROBLEMS.gone.status).toEqualTypeOf<410>()
  expectTypeOf(PROBLEMS['not-ess'].status).toEqualTypeOf<null>()
  expectTypeOf<(typeof EXIT_STATUS)[keyof typeof EXIT_STATUS]>().toEqualTypeOf<ExitStatus>()
  expectTypeOf(EXIT_STATUS.interrupted).toEqualTypeOf<130>()
  expectTypeOf<Problem>().toEqualTypeOf<{
    readonly type: string
    readonly title: string
    readonly detail?: string
    readonly status?: number
  }>()
  expectTypeOf<typeof PROBLEM_MEDIA_TYPE>().toEqualTypeOf<'application/problem+json'>()
  expectTypeOf(isProblemCode).guards.toEqualTypeOf<ProblemCode>()
  expectTypeOf(toFailedProblem).toEqualTypeOf<(error: EssError) => Problem>()
  type InWords = (error: EssError, retryAfter?: number) => string
  expectTypeOf(problemLine).toEqualTypeOf<InWords>()
  expectTypeOf(problemText).toEqualTypeOf<InWords>()
  expectTypeOf(problemSentences).toEqualTypeOf<InWords>()
  expectTypeOf(codeOfProblem).toEqualTypeOf<(problem: Problem) => string>()
})

test('what a sender says of a bundle or a sealed file goes both ways', () => {
  expectTypeOf(formatBundleNote).toEqualTypeOf<(note: BundleNote) => string>()
  expectTypeOf(parseBundleNote).toEqualTypeOf<(value: string) => BundleNote | undefined>()
  expectTypeOf(isSealedNote).toEqualTypeOf<(value: string) => boolean>()
  expectTypeOf<typeof MAX_SEALED_NOTE>().toEqualTypeOf<number>()
  expectTypeOf<typeof SEVERAL_FILES>().toEqualTypeOf<'files.tar'>()
  expectTypeOf<typeof SEALED_NOTE_KEY_INFO>().toEqualTypeOf<'ess-sealed-note'>()
  expectTypeOf(sealedLink).toEqualTypeOf<(link: string, identity: string) => string>()
  expectTypeOf(splitSealedLink('')).toEqualTypeOf<{
    readonly link: string
    readonly identity: string | undefined
  }>()
  expectTypeOf<typeof TEXT_TYPE>().toExtend<string>()
  expectTypeOf<typeof MOST_ENTRIES>().toEqualTypeOf<999_999_999>()
  expectTypeOf<typeof MAX_TEXT_BYTES>().toEqualTypeOf<number>()
  expectTypeOf(isTextType).parameter(0).toExtend<string | undefined>()
})

test('ids, tokens and addresses are text', () => {
  expectTypeOf<typeof SOCKET_ID_LENGTH>().toEqualTypeOf<12>()
  expectTypeOf<typeof NODE_TAG_LENGTH>().toEqualTypeOf<3>()
  expectTypeOf<typeof UPLOAD_TOKEN_LENGTH>().toEqualTypeOf<22>()
  expectTypeOf<typeof SIGNED_TOKEN_LENGTH>().toEqualTypeOf<43>()
  expectTypeOf([SOCKET_ID_PATTERN, UPLOAD_TOKEN_PATTERN]).toEqualTypeOf<RegExp[]>()
  expectTypeOf(isSocketId).toEqualTypeOf<(value: string) => boolean>()
  expectTypeOf(ROUTES.uploadEvents).toEqualTypeOf<'/uploads/:token/events'>()
  expectTypeOf(QUERY.wait).toEqualTypeOf<'wait'>()
  expectTypeOf(closedDownloadPath).toEqualTypeOf<(id: string) => string>()
  expectTypeOf(closedUploadPath).toEqualTypeOf<(token: string) => string>()
  expectTypeOf(downloadPath).toEqualTypeOf<(id: string, fileName?: string) => string>()
  expectTypeOf(uploadPath).toEqualTypeOf<(token: string) => string>()
  expectTypeOf(uploadEventsPath).toEqualTypeOf<(token: string) => string>()
  expectTypeOf(joinUrl).toEqualTypeOf<(base: string, path: string) => string>()
  expectTypeOf(urlAtServer).toEqualTypeOf<(server: string | URL, path: string) => URL>()
  expectTypeOf(withoutUserinfo).toEqualTypeOf<(text: string) => string>()
  expectTypeOf(quoteUrl).toEqualTypeOf<(url: string) => string>()
  expectTypeOf(curlLine).toEqualTypeOf<
    (url: string, fileName: string | undefined, fallback: string) => string
  >()
  expectTypeOf(percentDecode).returns.toEqualTypeOf<string | undefined>()
})

test('headers are constants, and what a stranger says is made safe', () => {
  expectTypeOf(HEADERS.contentLength).toEqualTypeOf<'content-length'>()
  expectTypeOf<typeof DEFAULT_CONTENT_TYPE>().toEqualTypeOf<'application/octet-stream'>()
  for (const headers of [CORS_HEADERS, DOWNLOAD_HEADERS, PASS_THROUGH_HEADERS, PREFLIGHT_HEADERS])
    expectTypeOf(headers).toExtend<Readonly<Record<string, string>>>()
  expectTypeOf<typeof LENGTH_TRAILER>().toEqualTypeOf<'Ess-Length'>()
  expectTypeOf<typeof PARTIAL_UPLOAD>().toEqualTypeOf<'application/partial-upload'>()
  expectTypeOf([acceptsTrailers, announcesLength]).toEqualTypeOf<((field: string | undefined) => boolean)[]>()
  expectTypeOf(safeContentType).toEqualTypeOf<(sent: string | undefined) => string>()
  expectTypeOf(printable).toEqualTypeOf<(text: string) => string>()
  expectTypeOf(endingOf).toEqualTypeOf<(name: string) => string>()
  expectTypeOf(shortenName).toEqualTypeOf<(name: string, maxBytes: number) => string>()
  expectTypeOf(safeFileName).toEqualTypeOf<(name: string) => string | undefined>()
  expectTypeOf(formatContentDisposition).toEqualTypeOf<(fileName: string | undefined) => string>()
  expectTypeOf(parseContentDisposition).toEqualTypeOf<(header: string) => string | undefined>()
})

test('the forms of the status stream have their media types, and numbers their words', () => {
  expectTypeOf<StatusForm>().toEqualTypeOf<'ndjson' | 'text' | 'sse'>()
  expectTypeOf<keyof typeof STATUS_MEDIA_TYPES>().toEqualTypeOf<StatusForm>()
  expectTypeOf<typeof STATUS_VERSION>().toEqualTypeOf<1>()
  expectTypeOf(formatBytes).toEqualTypeOf<(bytes: number) => string>()
  expectTypeOf(formatDuration).toEqualTypeOf<(seconds: number) => string>()
  expectTypeOf(formatPart).toEqualTypeOf<(bytes: number, total: number | undefined) => string>()
  expectTypeOf(formatNumber).toEqualTypeOf<(number: number) => string>()
  expectTypeOf(formatCount).toEqualTypeOf<(count: number, noun: string) => string>()
  expectTypeOf(formatLimit).toEqualTypeOf<(limit: number) => string>()
  expectTypeOf(formatAgainstLimit).toEqualTypeOf<
    (size: number, limit: number) => readonly [size: string, limit: string]
  >()
  expectTypeOf(parseDuration).toEqualTypeOf<(text: string) => number | undefined>()
  expectTypeOf(parseByteSize).toEqualTypeOf<(text: string) => number | undefined>()
})
