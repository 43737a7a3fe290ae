/** True for a URL of this machine alone, as it is written: names are not looked up. */
export function isLoopback({ hostname }: URL): boolean {
  return /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(hostname)
}
