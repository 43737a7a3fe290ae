/** A program that sends or receives files. */
export type Client = 'ess' | 'curl'

/** Two clients and the file that one sends to the other through ESS. */
export interface Pairing {
  readonly sender: Client
  readonly receiver: Client
}

/** By the name under which each is measured. */
export const PAIRINGS: Readonly<Record<string, Pairing>> = {
  'curl to curl': { sender: 'curl', receiver: 'curl' },
  'ess to curl': { sender: 'ess', receiver: 'curl' },
  'curl to ess': { sender: 'curl', receiver: 'ess' },
  'ess to ess': { sender: 'ess', receiver: 'ess' },
}
