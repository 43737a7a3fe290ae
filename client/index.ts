/** The client's engine: send and receive from a program. It never writes to the console. */
export { EssError } from '../shared/index.js'
export { type DownloadOptions, download, type Received } from './receive/download.js'
export { type Download, type GetOptions, get } from './receive/get.js'
export type { Offer, ReceiveOptions } from './receive/offer.js'
export type { Destination } from './receive/sink.js'
export { type Sending, send } from './send/send.js'
export { DEFAULT_SERVER, type SendOptions } from './send/send-options.js'
export { fromStream, openFile, type Source } from './send/source.js'
