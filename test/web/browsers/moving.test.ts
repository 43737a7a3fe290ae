import { beforeEach, expect, test } from 'vitest'
import { startChromium } from '../../helpers/chromium.js'
import { withFirstNode } from '../../helpers/killed-node.js'
import { needs } from '../../helpers/needs.js'
import { beginPages, expectDelivered, NOTICED_MS, openPages } from '../../helpers/page-moves.js'
import { needsRedis } from '../../helpers/redis.js'

// A small form of moving-all, which has a run of its own.

beforeEach((context) => {
  needs(context, 'chromium', 'haproxy')
  needsRedis(context)
})

test('a node that stops loses nothing of what pages send and receive', async () => {
  const browser = await startChromium()
  const { cluster, first, opened } = await withFirstNode((cluster) =>
    openPages(
      browser,
      [
        { what: 'file', isSealed: true, phase: 'streaming', to: 'pickers' },
        { what: 'text', isSealed: false, phase: 'waiting', to: 'ess' },
      ],
      cluster,
    ),
  )
  const begun = await beginPages(browser, opened, cluster)
  first.signal('SIGTERM')
  expect((await first.ended(NOTICED_MS)).code).toBe(0)
  // Neither had the time of the drain.
  expect(first.stderr().match(/"outcome":"moved"/g)).toHaveLength(2)
  await expectDelivered(begun)
}, 90_000)
