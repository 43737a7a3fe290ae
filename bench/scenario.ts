import type { Programs } from './compile.js'
import type { Certificate, Subject } from './subjects.js'

export const MIB = 2 ** 20
export const GIB = 2 ** 30

/** What every run may use. */
export interface Bench {
  readonly programs: Programs
  /** Undefined where the load cannot speak TLS. */
  readonly certificate: Certificate | undefined
  readonly isQuick: boolean
  /** Open files that a process may have: what a run needs of it, it asks for. */
  readonly maxDescriptors: number
  /** The folder of the compiled ESS, for its client. */
  readonly essDist: string
  /** A folder of this run. */
  readonly scratch: string
  /**
   * Another one, for the clients' files: in memory where there is room for them. What it takes to write to a disk is
   * the disk's, and that of everybody else who writes to it.
   */
  readonly files: string
}

/** How one number of a scenario is shown. */
export interface Metric {
  readonly title: string
  readonly digits: number
}

/** The numbers of one run of one subject, by the names of the scenario's metrics. */
export type Numbers = Readonly<Record<string, number>>

/** Something that is done with each subject, started fresh, in every run. */
export interface Scenario {
  readonly title: string
  /** Columns; the first is the one that is compared with the reference's. */
  readonly metrics: Readonly<Record<string, Metric>>
  readonly subjects: readonly string[]
  /** The subject that the others are compared with. */
  readonly reference: string
  readonly runs: number
  readonly needsTls?: true
  /** Set where it fills so many sockets that the kernel's memory for them must not be taken by others. */
  readonly needsTcpMemory?: true
  run(bench: Bench, subject: Subject): Promise<Numbers>
}
