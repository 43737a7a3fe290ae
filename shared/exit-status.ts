/** The exit statuses of `ess`, one for each class of endings. Scripts may rely on them. */
export const EXIT_STATUS = {
  /** Delivered (send), or whole (get). */
  ok: 0,
  /** A bug in ESS itself. */
  bug: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The server refused: too large, not allowed, a bad request. */
  refused: 3,
  /** Not found, gone or expired, or no peer came. */
  absent: 4,
  /** Broken midway: a peer went away or stalled. */
  broken: 5,
  /** The server is unreachable, stopping, full (for all clients or for this one), or is not an ESS server. */
  unavailable: 6,
  /** Sent, but the receiver has not confirmed that it has everything. */
  unverified: 7,
  /** Trouble with a local file: it exists, no space, no permission. */
  local: 8,
  /** The wrong key, or bytes that are not what the sender sealed, or that are not safe to unpack. Nothing was kept. */
  untrusted: 9,
  /** Interrupted by Ctrl-C (128 + SIGINT). Another signal gives 128 plus its own number. */
  interrupted: 130,
} as const satisfies Record<string, number>

/** One of the exit statuses above. */
export type ExitStatus = (typeof EXIT_STATUS)[keyof typeof EXIT_STATUS]
