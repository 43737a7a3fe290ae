/** The client's engine: send and receive from a program. It never writes to the console. */
export { type GetOptions, get, type Offer, type Received } from './get.js'
export { DEFAULT_SERVER, type Sending, type SendOptions, send } from './send.js'
export type { Destination } from './sink.js'
export { fromStream, openFile, type Source } from './source.js'
