/** The client's engine: send and receive from a program. It never writes to the console. */
export { EssError } from '../shared/index.js'
export { type DownloadOptions, download, type Received } from './download.js'
export { type Download, type GetOptions, get } from './get.js'
export type { Offer, ReceiveOptions } from './offer.js'
export { type Sending, send } from './send.js'
export { DEFAULT_SERVER, type SendOptions } from './send-options.js'
export type { Destination } from './sink.js'
export { fromStream, openFile, type Source } from './source.js'
