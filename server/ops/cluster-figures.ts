import { type ClusterView, SEARCH_ENDS, type Trouble } from '../locator/locator.js'
import type { CarryingCounts } from '../nodes/nodes.js'

/** One figure that is looked up when Prometheus asks: one number, or one for each value of a label. */
export interface Figure {
  readonly name: string
  readonly help: string
  readonly kind: 'gauge' | 'counter'
  readonly value: () => number | { readonly label: string; readonly of: Readonly<Record<string, number>> }
}

const TROUBLES = ['away', 'slow', 'full', 'refuses'] as const satisfies readonly Trouble[]

/** What a node of a cluster shows to Prometheus; `carrying` gives what it does for other nodes. */
export function clusterFigures(cluster: ClusterView, carrying: () => CarryingCounts): readonly Figure[] {
  return [
    {
      name: 'ess_cluster_carrying',
      help: 'Requests that this node is carrying to other nodes',
      kind: 'gauge',
      value: () => carrying().now,
    },
    {
      name: 'ess_cluster_carried_total',
      help: 'Requests that this node carried to other nodes',
      kind: 'counter',
      value: () => carrying().all,
    },
    {
      name: 'ess_cluster_unreached_total',
      help: 'Requests for a node that could not be reached',
      kind: 'counter',
      value: () => carrying().unreached,
    },
    {
      name: 'ess_cluster_nodes',
      help: 'Nodes of the cluster that live, as far as this one knows',
      kind: 'gauge',
      value: () => cluster.state.nodes.length,
    },
    {
      name: 'ess_cluster_store_trouble',
      help: "1 for what is wrong with the cluster's Redis: it is away, slow or full, or it refuses",
      kind: 'gauge',
      value: () => {
        const { trouble } = cluster.state
        const of = TROUBLES.map((one) => [one, one === trouble ? 1 : 0] as const)
        return { label: 'trouble', of: Object.fromEntries(of) }
      },
    },
    {
      name: 'ess_cluster_settled',
      help: 'Ids and tokens that are on this node',
      kind: 'gauge',
      value: () => cluster.counts.settled,
    },
    {
      name: 'ess_cluster_owed_records',
      help: 'Records that Redis does not have yet',
      kind: 'gauge',
      value: () => cluster.counts.owed,
    },
    {
      name: 'ess_cluster_commands_total',
      help: 'Commands that this node sent to Redis',
      kind: 'counter',
      value: () => cluster.counts.commands,
    },
    {
      name: 'ess_cluster_searches_total',
      help: 'Searches for links and uploads that are not on this node, by how they ended: by a record, by the tag in the id, or without a node',
      kind: 'counter',
      value: () => {
        const of = SEARCH_ENDS.map((end) => [end, cluster.counts.searches[end]] as const)
        return { label: 'found', of: Object.fromEntries(of) }
      },
    },
    {
      name: 'ess_cluster_late_searches_total',
      help: 'Searches that Redis did not answer in time',
      kind: 'counter',
      value: () => cluster.counts.late,
    },
  ]
}
