import type { Readable, Writable } from 'node:stream'
import {
  DEFAULT_SERVER,
  type Destination,
  type Download,
  type DownloadOptions,
  download,
  EssError,
  fromStream,
  type GetOptions,
  get,
  type Offer,
  openFile,
  type Received,
  type ReceiveOptions,
  type Sending,
  type SendOptions,
  type Source,
  send,
} from 'ephemeral-socket-service/client'
import type { DeliveredEvent, ProblemCode, StatusEvent } from 'ephemeral-socket-service/protocol'
import { expectTypeOf, test } from 'vitest'

test('send takes a path, several paths, a stream or a source, and gives events and a verdict', () => {
  expectTypeOf(send).parameter(0).toEqualTypeOf<string | readonly (string | Buffer)[] | Readable | Source>()
  expectTypeOf(send).toBeCallableWith('file', {
    server: new URL(DEFAULT_SERVER),
    name: 'x',
    ttl: 60,
    reserve: true,
    signal: new AbortController().signal,
  })
  expectTypeOf(send).toBeCallableWith(['folder', Buffer.from('file')], {
    exclude: ['*.tmp'],
    gitignore: true,
    followLinks: true,
  })
  expectTypeOf(send).toBeCallableWith('file', { signal: undefined })
  expectTypeOf<NonNullable<SendOptions['onAway']>>().parameters.toEqualTypeOf<[number, EssError]>()
  expectTypeOf(send).returns.toEqualTypeOf<Sending>()
  expectTypeOf<Sending>().toExtend<AsyncIterable<StatusEvent>>()
  expectTypeOf<Sending['verdict']>().resolves.toEqualTypeOf<DeliveredEvent>()
  // @ts-expect-error seconds are a number
  send('file', { ttl: '60' })
})

test('get gives a stream that says what it is', () => {
  expectTypeOf(get).returns.resolves.toEqualTypeOf<Download>()
  expectTypeOf<Download>().toExtend<Readable>()
  expectTypeOf<Download>().toHaveProperty('id').toEqualTypeOf<string>()
  expectTypeOf<Download>().toHaveProperty('name').toEqualTypeOf<string>()
  expectTypeOf<Download>().toHaveProperty('size').toEqualTypeOf<number | undefined>()
  expectTypeOf<Download>().toHaveProperty('type').toEqualTypeOf<string>()
  // @ts-expect-error writing to a place is what download is for
  void get('id', { to: { file: 'x' } })
})

test('download writes to exactly one kind of place', () => {
  expectTypeOf(download).returns.resolves.toEqualTypeOf<Received>()
  expectTypeOf<Destination>().toEqualTypeOf<
    | { readonly file: string }
    | { readonly folder: string; readonly text?: (bytes: number) => Writable }
    | { readonly stream: Writable }
  >()
  expectTypeOf<Received['path']>().toEqualTypeOf<string | undefined>()
})

test('sources are made of files and streams, or by hand', () => {
  expectTypeOf(openFile).returns.resolves.toEqualTypeOf<Source>()
  expectTypeOf(fromStream).returns.toEqualTypeOf<Source>()
  expectTypeOf<Source>().toHaveProperty('isRepeatable').toEqualTypeOf<boolean | undefined>()
})

test('a failure has a code', () => {
  expectTypeOf(new EssError('gone').code).toEqualTypeOf<ProblemCode>()
  expectTypeOf<EssError>().toExtend<Error>()
})

test('options have names of their own, for whoever passes them on', () => {
  expectTypeOf(send).parameter(1).toEqualTypeOf<SendOptions | undefined>()
  expectTypeOf(get).parameter(1).toEqualTypeOf<GetOptions | undefined>()
  expectTypeOf(download).parameter(1).toEqualTypeOf<DownloadOptions | undefined>()
  expectTypeOf<GetOptions>().toExtend<ReceiveOptions>()
  expectTypeOf<DownloadOptions>().toExtend<ReceiveOptions>()
  expectTypeOf<Download>().toExtend<Offer>()
  expectTypeOf<Parameters<NonNullable<DownloadOptions['onOffer']>>>().toEqualTypeOf<[offer: Offer]>()
})
