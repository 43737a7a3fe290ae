/**
 * The `ETag` of a download. It is strong, because the bytes of a link never change. It contains the id, so a client
 * can tell that the response comes from an ESS server.
 */
export function entityTag(id: string): string {
  return `"${id}"`
}
