import { createClient, ErrorReply } from '@redis/client'
import { withResolvers } from '../node/with-resolvers.js'

/** Where Redis or Valkey is, and as whom we come. */
export interface RedisAddress {
  /** `redis://` or `rediss://`, with host, port and number of the database as needed. */
  readonly url: string
  /** Overrides the URL's. Without one, Redis takes `default`. */
  readonly username?: string | undefined
  /** Overrides the URL's. */
  readonly password?: string | undefined
  /** Certificates to trust for `rediss://`, as PEM, instead of those that Node trusts. */
  readonly ca?: string | undefined
}

/** What Redis says: a text, a number, nothing, or a list of these. */
export type Reply = string | number | null | readonly Reply[]

/** One connection to Redis, from its login to its end. It is never used again. */
export interface RedisConnection {
  /** Rejects with the refusal of Redis, or when the connection has ended. There is no deadline. */
  send(...args: readonly string[]): Promise<Reply>
  /** Resolves once Redis has confirmed it. */
  subscribe(channel: string, listener: (message: string) => void): Promise<void>
  /** Takes the listener too: without it, the library also drops one that comes before Redis has answered. */
  unsubscribe(channel: string, listener: (message: string) => void): Promise<void>
  /** Why it has ended. Never rejects. */
  readonly ended: Promise<Error>
  destroy(): void
}

/** How long TCP and TLS may take, and after that the login. */
const CONNECT_MS = 5_000

/** True for an error that Redis has answered with, as opposed to a connection that was lost. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof ErrorReply
}

/** True if Redis has no memory for what we wanted to write. */
export function isFull(error: unknown): boolean {
  return isRefusal(error) && error.message.startsWith('OOM ')
}

/**
 * Connects and logs in. Rejects when that fails, or takes too long. The library would connect again by itself, and
 * queue commands until then. Both are off: a request can't wait, and `RedisLink` also ends connections that are dead
 * without a word, which the library doesn't notice.
 */
export async function connectRedis(address: RedisAddress): Promise<RedisConnection> {
  const client = createClient({
    url: urlWithLogin(address),
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    // It would be a timer for each command, and of no use once the command is written.
    commandOptions: { timeout: 0 },
    socket: {
      connectTimeout: CONNECT_MS,
      reconnectStrategy: false,
      ...(address.ca !== undefined && { tls: true, ca: address.ca }),
    },
  })
  const { promise: ended, resolve: end } = withResolvers<Error>()
  client.on('error', end)
  client.on('end', () => end(new Error('The connection to Redis has ended.')))
  const deadline = setTimeout(() => {
    end(new Error(`Redis did not let us in within ${(2 * CONNECT_MS) / 1000} s.`))
    client.destroy()
  }, 2 * CONNECT_MS)
  try {
    const failed = ended.then((error) => Promise.reject(error))
    await Promise.race([client.connect(), failed])
  } catch (error) {
    client.destroy()
    throw error
  } finally {
    clearTimeout(deadline)
  }
  return {
    ended,
    send: (...args) => client.sendCommand<Reply>([...args]),
    subscribe: (channel, listener) => client.subscribe(channel, listener),
    unsubscribe: (channel, listener) => client.unsubscribe(channel, listener),
    destroy: () => client.destroy(),
  }
}

/** The library prefers what the URL says. */
function urlWithLogin({ url, username, password }: RedisAddress): string {
  const complete = new URL(url)
  // The setters leave a `%` as it is.
  if (username !== undefined) complete.username = encodeURIComponent(username)
  if (password !== undefined) complete.password = encodeURIComponent(password)
  return complete.href
}
