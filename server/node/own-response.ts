import { ServerResponse } from 'node:http'
import { Attachment } from './attachment.js'

/** What begins a response, writes to it, or ends it. */
const WRITING = ['writeHead', 'flushHeaders', 'write', 'end', 'destroy'] as const

const owned = new Attachment<ServerResponse, ServerResponse>('owned')

/**
 * The response as the service's own, which its host can't write to any more. Hono's middleware may make a response of
 * its own of the one it is given, even `cors()` and `c.header()` do, and @hono/node-server writes that: an answer in
 * the middle of a transfer, or under a receiver that is kept waiting. `response` itself ignores that from now on.
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
      // One of Node's is the same each time; a host's middleware may still replace others.
      if (typeof member === 'function') members.set(name, member)
      return member
    },
    set: (target, name, value) => Reflect.set(target, name, value),
  })
  owned.set(response, own)
  return own
}

/** The same, where it was taken; `response` itself otherwise. */
export function asTaken(response: ServerResponse): ServerResponse {
  return owned.get(response) ?? response
}

/** Methods are those of the response itself: Node asks whether it is the one whose turn it is on its connection. */
function memberOf(response: ServerResponse, name: string | symbol): unknown {
  const member: unknown = Reflect.get(response, name)
  // This one asks nothing, and who it is says that no middleware has replaced it: see `storeHead`.
  if (typeof member !== 'function' || member === ServerResponse.prototype.writeHead) return member
  return member.bind(response) as unknown
}

/** As if it had been done. */
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
