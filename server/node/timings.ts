/**
 * How long the server waits where no option says so. Operators can't change these. A test can, for its own duration, so
 * that it needn't wait for real: read each one at the moment the wait begins.
 */
export const timings = {
  /** How long a client may take to send its request's head; a connection that says nothing counts as one. */
  headMs: 25_000,

  /** How often Node looks for clients that took longer. Its default, 30 s, would be added to that time. */
  headCheckMs: 5_000,

  /** How long the rest of a body may take after its request was answered. */
  restOfBodyMs: 2000,

  /** How long connections that are being closed gently have left once the server itself is done. */
  lastWordsMs: 2500,

  /** How long a peer that is still sending may go on until it has read why its request was refused. */
  drainMs: 2000,

  /** How long the receiver's head is held back for the sender's first byte: a dead sender gives a 502, not a broken 200. */
  heldHeadMs: 10_000,

  /**
   * How long the last byte of a small file waits behind the others for a curl or wget that can't write them: those take
   * well below a millisecond to give up, whatever the network.
   */
  lastByteMs: 10,

  /**
   * How long the receiver may take, after its last byte, to close its half of the connection: what the kernel still
   * holds must reach it first.
   */
  confirmMs: 30_000,

  /**
   * How long a receiver that says by itself when the file is safe may take for that, after its connection has everything;
   * longer where it may take longer to come back after a cut.
   */
  wordMs: 30_000,

  /** How long a node may take to prove to another one what it is, and to say for whom it calls. */
  linkMs: 5000,

  /** How long nothing may come from a node that is missed until what is carried to it is broken off; how often we look. */
  missedSilenceMs: 5000,
  missedLookMs: 1000,

  /** How long the end of a download over HTTP/2 may wait for the peer to have read what precedes it. */
  readMs: 30_000,
}
