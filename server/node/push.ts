import type { Readable } from 'node:stream'

/**
 * Has every chunk that Node pushes into `body` go to `take` instead; null is the end. `take` returns true while it
 * wants more. Returns the way to push a chunk on. Call it before the first chunk comes.
 */
export function interceptPush(
  body: Readable,
  take: (chunk: unknown) => boolean,
): (chunk: unknown) => boolean {
  const push = body.push
  body.push = take
  return (chunk) => push.call(body, chunk)
}
