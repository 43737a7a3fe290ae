import {
  type ConnectedEvent,
  type DeliveredEvent,
  EssError,
  encodeStatus,
  type FailedEvent,
  fromProblem,
  isTerminal,
  type OpenedEvent,
  type ProblemCode,
  type ProgressEvent,
  type ReservedEvent,
  resolveDownloadUrl,
  StatusDecoder,
  type StatusEvent,
  type TerminalEvent,
  toProblem,
  type WaitingEvent,
} from 'ephemeral-socket-service/protocol'
import { expectTypeOf, test } from 'vitest'

test('an event is known by its name', () => {
  expectTypeOf<StatusEvent>().toEqualTypeOf<
    OpenedEvent | ReservedEvent | WaitingEvent | ConnectedEvent | ProgressEvent | DeliveredEvent | FailedEvent
  >()
  expectTypeOf<Extract<StatusEvent, { event: 'opened' }>>().toEqualTypeOf<OpenedEvent>()
  expectTypeOf<OpenedEvent>().toHaveProperty('upload').toEqualTypeOf<string | undefined>()
  expectTypeOf(isTerminal).guards.toEqualTypeOf<TerminalEvent>()
})

test('the status stream is written and read', () => {
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
