/** Where the receiver of a transfer asks: at the node that its sender has, or at another one, which carries it. */
export const AT_ONE_NODE = 'at one node'
export const AT_ANOTHER_NODE = 'at another node'
/** The same, with TLS between the nodes. */
export const AT_ANOTHER_NODE_BY_TLS = 'at another node, TLS'

/** How a sender that waits at a node asks for its link. Only that of `ess` has an upload resource, and so a second record. */
export const WAITING_FIELDS: Readonly<Record<string, string>> = {
  'curl waits': 'Accept: */*',
  'ess waits': 'Accept: application/x-ndjson\r\nEss-Resume: rewind',
}
