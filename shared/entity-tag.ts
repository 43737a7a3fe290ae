/**
 * The `ETag` of a download. It is strong, because the bytes of a link never change, and it holds the id: a client knows
 * by it that the answer is an ESS server's.
 */
export function entityTag(id: string): string {
  return `"${id}"`
}
