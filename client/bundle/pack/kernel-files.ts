import { statfsSync } from 'node:fs'

/**
 * The file systems of Linux whose files are no data on a disk: the kernel makes them when they are read. Their sizes are
 * wrong, and a read may wait for ever (/proc/kmsg) or have an effect. The numbers are those of statfs(2).
 */
const KERNEL_SYSTEMS: Readonly<Record<number, string>> = {
  40864: 'proc',
  1650812274: 'sysfs',
  1684170528: 'debugfs',
  1953653091: 'tracefs',
  1935894131: 'securityfs',
  2613483: 'cgroup',
  1667723888: 'cgroup2',
  3405662737: 'bpf',
  1650812272: 'configfs',
  4185718668: 'selinuxfs',
  1128357203: 'smackfs',
  1513908720: 'apparmorfs',
  1112100429: 'binfmt_misc',
  7377: 'devpts',
  427819522: 'mqueue',
  1702057283: 'fusectl',
  1853056627: 'nsfs',
  1733912937: 'rpc_pipefs',
  1852207972: 'nfsd',
  2881100148: 'xenfs',
  124082209: 'resctrl',
  3730735588: 'efivarfs',
}

/** Tells what the kernel makes up from what is stored. It opens nothing. */
export class KernelFiles {
  /** The name of each device's file system; undefined for one that stores its files. */
  readonly #systems = new Map<bigint, string | undefined>()

  /** The name of the file system that makes up what is at this place, on this device. Undefined for what is stored. */
  systemOf(place: string | Buffer, device: bigint): string | undefined {
    if (!this.#systems.has(device)) this.#systems.set(device, systemAt(place))
    return this.#systems.get(device)
  }
}

function systemAt(place: string | Buffer): string | undefined {
  // Elsewhere the same numbers mean something else.
  if (process.platform !== 'linux') return undefined
  try {
    return KERNEL_SYSTEMS[statfsSync(place).type]
  } catch {
    // It may be gone, or a sandbox may not let us ask. To open it will tell.
    return undefined
  }
}
