import { ServerResponse } from 'node:http'
import { Attachment } from './attachment.js'

/** The methods that begin a response, write to it, or end it. */
const WRITING = ['writeHead', 'flushHeaders', 'write', 'end', 'destroy'] as const

const owned = new Attachment<ServerResponse, ServerResponse>('owned')

/**
 * Takes a response from its host: only the returned one writes from now on, and `response` itself ignores it. Hono's
 * middleware, even `cors()` and `c.header()`, may make a new response from the one it is given. @hono/node-server would
 * then write that one in the middle of a transfer, or to a receiver that is kept waiting.
 */
export function takeResponse(response: ServerResponse): ServerResponse {
  const taken = owned.get(response)
  if (taken !== undefined) return taken
  const members = new Map<string | symbol, unknown>()
  for (const name of WRITING) {
    members.set(name, memberOf(response, name))
    Object.defineProperty(response, name, { value: IGNORED[name], configurable: true, writable: true })
  }
  const own = new Proxy(response, {
    get: (target, name) => {
      const member = members.get(name) ?? memberOf(target, name)
      // A method of Node's stays the same; a host's middleware may still replace other members.
      if (typeof member === 'function') members.set(name, member)
      return member
    },
    set: (target, name, value) => Reflect.set(target, name, value),
  })
  owned.set(response, own)
  return own
}

/** The response that `takeResponse` returned for this one; `response` itself if it wasn't taken. */
export function asTaken(response: ServerResponse): ServerResponse {
  return owned.get(response) ?? response
}

/** Binds methods to the response itself: Node checks whether it is the one whose turn it is on its connection. */
function memberOf(response: ServerResponse, name: string | symbol): unknown {
  const member: unknown = Reflect.get(response, name)
  // `writeHead` doesn't check, and its identity shows that no middleware has replaced it: see `storeHead`.
  if (typeof member !== 'function' || member === ServerResponse.prototype.writeHead) return member
  return member.bind(response) as unknown
}

/** What the host's calls return, as if they had been carried out. */
const IGNORED = {
  writeHead: ignore,
  flushHeaders: ignore,
  write: () => true,
  end: ignore,
  destroy: ignore,
} as const satisfies Record<(typeof WRITING)[number], unknown>

function ignore(this: ServerResponse): ServerResponse {
  return this
}
