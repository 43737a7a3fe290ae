// The package ships no types.
declare module 'proxy-from-env' {
  /** The proxy for `url` after HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY of `process.env`; '' for none. */
  export function getProxyForUrl(url: string | URL): string
}
