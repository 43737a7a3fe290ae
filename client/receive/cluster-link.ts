import { isSocketId, NODE_TAG_LENGTH, SOCKET_ID_LENGTH } from '../../shared/index.js'

/** True for a link of a server of several nodes: its id names one. */
export function isOfCluster({ pathname }: URL): boolean {
  const length = SOCKET_ID_LENGTH + NODE_TAG_LENGTH
  return pathname.split('/').some((segment) => segment.length === length && isSocketId(segment))
}
