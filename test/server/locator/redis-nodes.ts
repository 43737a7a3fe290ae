import { expect, onTestFinished } from 'vitest'
import type { Locator, Place, Trouble } from '../../../server/locator/locator.js'
import { openRedisLocator, type RedisLocator } from '../../../server/locator/redis.js'
import type { TestRedis } from '../../helpers/redis.js'
import { until } from '../../helpers/within.js'

export const SECRET = 'the secret of the cluster'
export const A: Place = { node: 'a', address: '10.0.0.1:7001' }
export const B: Place = { node: 'b', address: '10.0.0.2:7001' }

/** A node, and each trouble that it told. */
export interface Node extends Locator {
  readonly told: (Trouble | undefined)[]
  readonly counts: RedisLocator['counts']
}

/** A node over Redis, until the end of the test. */
export function join(
  url: string,
  place: Place,
  more: { readonly password?: string; readonly ca?: string } = {},
): Node {
  const told: (Trouble | undefined)[] = []
  const locator = openRedisLocator({
    place,
    redis: { url, ...more },
    secret: SECRET,
    onTrouble: (trouble) => told.push(trouble),
  })
  onTestFinished(() => locator.close())
  return Object.assign(locator, { told })
}

export async function well(...locators: readonly Locator[]): Promise<void> {
  for (const locator of locators) await until(`${locator.self} is well`, () => locator.state.isWell)
}

export async function troubled(trouble: Trouble, ...locators: readonly Locator[]): Promise<void> {
  for (const locator of locators)
    await until(`for ${locator.self}, Redis is ${trouble}`, () => locator.state.trouble === trouble)
}

/** Lets the life of a node that is cut off run out: the next heartbeat of another one drops it from the list. */
export async function letRunOut(redis: TestRedis, node: string): Promise<void> {
  expect(await redis.cli('EVAL', RUN_OUT, '0', node)).toBe('1')
}

const RUN_OUT = `local key = redis.call('KEYS', 'ess:nodes:*:places')[1]
local places, count = redis.call('HGETALL', key), 0
for at = 1, #places, 2 do
  if string.match(places[at + 1], '^%S+') == ARGV[1] then
    redis.call('ZINCRBY', string.sub(key, 1, -8), -60000, places[at])
    count = count + 1
  end
end
return count`

/** Two nodes that know each other. */
export async function two(url: string, urlOfB = url) {
  const [a, b] = [join(url, A), join(urlOfB, B)]
  await well(a, b)
  for (const one of [a, b]) await until(`${one.self} knows both`, () => one.state.nodes.length === 2)
  return { a, b }
}
