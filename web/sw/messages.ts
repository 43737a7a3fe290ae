/*
 * What a page and its service worker say to each other. A page hands over a port with `Save`; the worker then answers the
 * request for that URL by what comes through the port.
 */

/** To the worker. */
export type ToWorker =
  | {
      readonly kind: 'save'
      /** The URL of which the browser makes a download. */
      readonly url: string
      readonly headers: Readonly<Record<string, string>>
      /** The link, which the worker gives up if the page is gone. */
      readonly link: string
      readonly port: MessagePort
    }
  /** A worker lives on for as long as such events come. */
  | { readonly kind: 'ping' }

/** Through the port, to the worker. */
export type FromPage =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> }
  /** All bytes have come, and are right. */
  | { readonly kind: 'end' }
  /** The download must fail. */
  | { readonly kind: 'fail' }
  /** The page is still there. */
  | { readonly kind: 'alive' }

/** Through the port, to the page. */
export type FromWorker =
  /** The worker knows the URL. */
  | { readonly kind: 'known' }
  /** The browser takes more bytes. */
  | { readonly kind: 'more' }
  /** The browser has all bytes. */
  | { readonly kind: 'done' }
  /** The person has cancelled the download. */
  | { readonly kind: 'cancelled' }
  /** Is the page still there? A page's own timers are slow in a tab that is not seen; messages are not. */
  | { readonly kind: 'alive?' }
