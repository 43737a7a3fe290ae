import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { EssError, formatCount } from '../../shared/index.js'
import type { Service } from '../broker/service.js'
import { ClusterLimits } from '../limits/cluster-limits.js'
import type { Place } from '../locator/locator.js'
import { openRedisLocator, type RedisLocator } from '../locator/redis.js'
import type { RedisAddress } from '../locator/redis-connection.js'
import { taggedIds } from '../locator/tagged-ids.js'
import { readTrouble } from '../node/errno-words.js'
import { openNode } from '../nodes/carrier.js'
import { formatAddress, type LinkAddress, parseAddress } from '../nodes/links.js'
import { isWildcard, reachableAddresses } from '../nodes/own-address.js'
import type { Log } from '../ops/log.js'
import type { Flags } from './flags.js'
import { redisTrouble } from './redis-trouble.js'

/** Characters. A shorter secret could be found by trying; `openssl rand -hex 32` makes 64. */
const MIN_SECRET_LENGTH = 32

/** How this server takes part in a cluster, as its flags say. */
export interface ClusterSettings {
  readonly redis: RedisAddress
  readonly listenAt: LinkAddress
  /** Where the other nodes reach it. */
  readonly reachedAt: LinkAddress
  readonly secret: string
  /** True if nothing may be carried but inside TLS. */
  readonly wantsTls: boolean
  /** This node's name, another one after each start. */
  readonly name: string
  /** The option `ids` of its service: each id names its node. */
  readonly ids: ReturnType<typeof taggedIds>
}

/** Reads the flags and the file of the secret. Rejects with EssError `usage`. */
export async function clusterSettings({
  cluster,
  clusterPasswordFile,
  clusterListen,
  clusterAddress,
  clusterSecretFile,
  clusterTls,
}: Pick<
  Flags,
  'cluster' | 'clusterPasswordFile' | 'clusterListen' | 'clusterAddress' | 'clusterSecretFile' | 'clusterTls'
>): Promise<ClusterSettings> {
  const missing = [
    [cluster, '--cluster'],
    [clusterListen, '--cluster-listen'],
    [clusterSecretFile, '--cluster-secret-file'],
  ].flatMap(([value, flag]) => (value === undefined ? [flag] : []))
  if (cluster === undefined || clusterListen === undefined || clusterSecretFile === undefined)
    throw new EssError(
      'usage',
      `A cluster needs --cluster, --cluster-listen and --cluster-secret-file. Add ${missing.join(' and ')}, or leave out all that begin with --cluster.`,
    )
  const listenAt = addressIn(clusterListen, '--cluster-listen')
  const name = `${hostname().replaceAll(/[^\w.-]/g, '-')}-${randomBytes(3).toString('hex')}`
  return {
    redis: {
      url: checkedUrl(cluster),
      ...(clusterPasswordFile !== undefined && { password: await readPassword(clusterPasswordFile) }),
    },
    listenAt,
    reachedAt: clusterAddress === undefined ? ownAddress(listenAt) : givenAddress(clusterAddress),
    secret: await readSecret(clusterSecretFile),
    wantsTls: clusterTls,
    name,
    ids: taggedIds(name),
  }
}

/** A server's place in its cluster. */
export interface Membership {
  readonly locator: RedisLocator
  /** Where other nodes reach this one, as `HOST:PORT`. */
  readonly address: string
  /** Leaves the cluster. Call it last. */
  close(): Promise<void>
}

/**
 * Makes a service one node of a cluster. Redis may be away: it is connected to as soon as it is there. Rejects with Node's
 * own error if the nodes' address can't be had.
 */
export async function joinCluster(
  { redis, listenAt, reachedAt, secret, wantsTls, name }: ClusterSettings,
  service: Service,
  { note, warn }: Pick<Log, 'note' | 'warn'>,
): Promise<Membership> {
  let locator: RedisLocator | undefined
  const node = await openNode({
    listenAt,
    reachedAt,
    name,
    secret: Buffer.from(secret),
    wantsTls,
    onOtherWish: warnOfOthers(wantsTls, warn),
    relay: service.relay,
    locate: (place) => {
      locator = openRedisLocator({
        place,
        redis,
        secret,
        onTrouble: (trouble, cause) =>
          trouble === undefined ? note('Redis is well') : warn(redisTrouble(redis.url, trouble, cause)),
        onListed: noteNodes(note),
      })
      return locator
    },
  })
  service.join(node)
  if (locator === undefined) throw new Error('Expected a locator')
  const limits = new ClusterLimits(locator.clients, service.options, (client, forMs) =>
    service.shutOut(client, forMs),
  )
  service.shareClients(limits)
  const close = async () => {
    limits.close()
    await node.close()
  }
  return { locator, address: node.address, close }
}

/** Says in the log which nodes there are, whenever that has changed. */
function noteNodes(note: Log['note']): (nodes: readonly Place[]) => void {
  let told = ''
  return (nodes) => {
    const names = nodes.map(({ node, address }) => `${node} at ${address}`).sort()
    const line = `cluster: ${formatCount(names.length, 'node')}: ${names.join(', ')}`
    if (line !== told) note(line)
    told = line
  }
}

/** Says in the log which nodes don't do as this one about TLS: of each one once, or that this one is the odd one out. */
function warnOfOthers(wantsTls: boolean, warn: Log['warn']): (node: string) => void {
  const told = new Set<string>()
  return (node) => {
    const isKnown = wantsTls ? told.has(node) : told.size > 0
    told.add(node)
    if (isKnown) return
    warn(
      wantsTls
        ? `${node} runs without --cluster-tls. Bytes between it and this node are encrypted, and those between it and others without the option are not. Start it with --cluster-tls.`
        : `${node} runs with --cluster-tls, and this node without. Bytes between the two are encrypted, and those between this node and others without the option are not. Start this node with --cluster-tls, too.`,
    )
  }
}

function checkedUrl(text: string): string {
  // The URL may have a password in it, so no message repeats it.
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '')
    throw new EssError(
      'usage',
      '--cluster must be the URL of Redis or Valkey, such as redis://10.0.0.5:6379.',
    )
  if (!/^\/?\d*$/.test(url.pathname))
    throw new EssError(
      'usage',
      'The path of --cluster must be the number of a database, as in redis://10.0.0.5:6379/2.',
    )
  return text
}

function addressIn(text: string, flag: string): LinkAddress {
  const address = parseAddress(text)
  if (address !== undefined) return address
  throw new EssError(
    'usage',
    `${flag} must be HOST:PORT, such as 10.0.0.1:9100, not ${JSON.stringify(text)}.`,
  )
}

/** Where other nodes reach a listener at this address, if --cluster-address doesn't say it. */
function ownAddress(listenAt: LinkAddress): LinkAddress {
  if (!isWildcard(listenAt.host)) return listenAt
  const [host, ...others] = reachableAddresses(listenAt.host)
  if (host !== undefined && others.length === 0) return { ...listenAt, host }
  const has = host === undefined ? 'none that others can reach' : `${[host, ...others].join(' and ')}`
  throw new EssError(
    'usage',
    `--cluster-listen ${formatAddress(listenAt)} stands for each address of this machine, and it has ${has}. Say with --cluster-address HOST:PORT where the other nodes reach this one.`,
  )
}

function givenAddress(text: string): LinkAddress {
  const address = addressIn(text, '--cluster-address')
  if (!isWildcard(address.host)) return address
  throw new EssError(
    'usage',
    `--cluster-address ${text} is no address that other nodes can connect to. Name this machine's own.`,
  )
}

async function readPassword(path: string): Promise<string> {
  const password = await readLine(path, '--cluster-password-file')
  if (password !== '') return password
  throw new EssError(
    'usage',
    `${path} (--cluster-password-file) is empty. Write the password of Redis to it.`,
  )
}

async function readSecret(path: string): Promise<string> {
  const secret = await readLine(path, '--cluster-secret-file')
  if (secret.length >= MIN_SECRET_LENGTH) return secret
  throw new EssError(
    'usage',
    `The secret in ${path} (--cluster-secret-file) is shorter than ${MIN_SECRET_LENGTH} characters. Make one with openssl rand -hex 32, and give it to every node.`,
  )
}

/** What a file holds, without white space around it. Rejects with EssError `usage`. */
async function readLine(path: string, flag: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    throw new EssError(
      'usage',
      `Cannot read ${path} (${flag}): ${readTrouble(error)}. Check its path and who may read it.`,
      { cause: error },
    )
  }
}
