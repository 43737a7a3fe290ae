/**
 * True if a request of this page that stays open takes nothing from others. By HTTP/1.1 a browser has six connections to a
 * server, for all its tabs together: events that are followed in each of them would leave none for the bytes.
 */
export function hasManyConnections(): boolean {
  const [navigation] = performance.getEntriesByType('navigation')
  // The entries of that type are of that class.
  const protocol = (navigation as PerformanceNavigationTiming | undefined)?.nextHopProtocol
  return protocol === 'h2' || protocol === 'h3'
}
