import { ServerResponse } from 'node:http'
import { Attachment } from './attachment.js'

/** The methods that begin a response, write to it, or end it. */
const WRITING = ['writeHead', 'flushHeaders', 'write', 'end', 'destroy'] as const

const owned = new Attachment<ServerResponse, ServerResponse>('owned')

/**
 * Takes a response from its host: returns one to write to, and makes `response` itself ignore all writes from now on.
 * Hono's middleware may turn the response that it gets into another one, as even `cors()` and `c.header()` do.
 * @hono/node-server would write that one into the middle of a transfer, or to a receiver that still waits.
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
      // Methods are kept, because Node's stay the same. A host's middleware may still replace other members.
      if (typeof member === 'function') members.set(name, member)
      return member
    },
    set: (target, name, value) => Reflect.set(target, name, value),
  })
  owned.set(response, own)
  return own
}

/** The taken response, or `response` itself if it wasn't taken. */
export function asTaken(response: ServerResponse): ServerResponse {
  return owned.get(response) ?? response
}

/** Methods run on `response` itself: Node compares `this` with the response whose turn it is on the connection. */
function memberOf(response: ServerResponse, name: string | symbol): unknown {
  const member: unknown = Reflect.get(response, name)
  // Unbound: it compares nothing, and `storeHead` knows by it that no middleware has replaced `writeHead`.
  if (typeof member !== 'function' || member === ServerResponse.prototype.writeHead) return member
  return member.bind(response) as unknown
}

/** Each returns what it would return after it has done its work. */
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
