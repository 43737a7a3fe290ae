import { Counter, Gauge, type Registry } from 'prom-client'
import { type ClusterView, SEARCH_ENDS, type Trouble } from '../locator/locator.js'

const TROUBLES = ['away', 'slow', 'full', 'refuses'] as const satisfies readonly Trouble[]

/** What a node of a cluster shows to Prometheus. All of it is looked up when Prometheus asks. */
export function gaugesOfCluster(cluster: ClusterView, registers: Registry[]): void {
  new Gauge({
    name: 'ess_cluster_nodes',
    help: 'Nodes of the cluster that live, as far as this one knows',
    registers,
    collect() {
      this.set(cluster.state.nodes.length)
    },
  })
  new Gauge({
    name: 'ess_cluster_store_trouble',
    help: "1 for what is wrong with the cluster's Redis: it is away, slow or full, or it refuses",
    labelNames: ['trouble'],
    registers,
    collect() {
      for (const trouble of TROUBLES) this.set({ trouble }, cluster.state.trouble === trouble ? 1 : 0)
    },
  })
  new Gauge({
    name: 'ess_cluster_settled',
    help: 'Ids and tokens that are on this node',
    registers,
    collect() {
      this.set(cluster.counts.settled)
    },
  })
  new Gauge({
    name: 'ess_cluster_owed_records',
    help: 'Records that Redis does not have yet: it is away, slow or full, or it refuses them',
    registers,
    collect() {
      this.set(cluster.counts.owed)
    },
  })
  countersOf(cluster, registers)
}

function countersOf(cluster: ClusterView, registers: Registry[]): void {
  new Counter({
    name: 'ess_cluster_commands_total',
    help: 'Commands that this node sent to Redis',
    registers,
    collect() {
      this.reset()
      this.inc(cluster.counts.commands)
    },
  })
  new Counter({
    name: 'ess_cluster_searches_total',
    help: 'Searches for a link or an upload that is not on this node, by how they ended: the record or the tag in the id named a node; it has ended; it is not known; there is none',
    labelNames: ['found'],
    registers,
    collect() {
      this.reset()
      for (const found of SEARCH_ENDS) this.inc({ found }, cluster.counts.searches[found])
    },
  })
  new Counter({
    name: 'ess_cluster_late_searches_total',
    help: 'Searches that Redis did not answer in time',
    registers,
    collect() {
      this.reset()
      this.inc(cluster.counts.late)
    },
  })
}
