import { expect, test } from 'vitest'
import { timings } from '../../../server/node/timings.js'
import { readPage } from '../../helpers/markdown.js'

/** Where the documents say how long the server waits, in seconds. Other tests shorten these waits, so they are read here. */
test.each([
  [timings.headMs + timings.headCheckMs, 'errors.md', /head of the request took longer than (\d+) s/],
  [timings.headMs + timings.headCheckMs, 'operating.md', /a request's head has (\d+) s/],
  [timings.restOfBodyMs, 'protocol.md', /gets `Connection: close` with it, and up to (\d+) s to read/],
  [timings.drainMs, 'protocol.md', /closed for good after at most (\d+) s/],
  [
    timings.heldHeadMs,
    'protocol.md',
    /head is held\*\* until the sender's first byte or its end, at most (\d+) s/,
  ],
  [timings.confirmMs, 'protocol.md', /Neither for (\d+) s: `delivered`, `confirmed: false`/],
  [timings.confirmMs, 'operating.md', /the receiver's last bytes (\d+) s to be acknowledged/],
  [timings.readMs, 'faults.md', /asks whether all before them were read, and waits up to (\d+) s/],
])('%i ms is what docs/%s says', async (ms, page, sentence) => {
  const [, seconds] = sentence.exec(await readPage(`docs/${page}`)) ?? []
  expect(ms).toBe(1000 * Number(seconds))
})

test('connections that are closed gently have the time to be', () => {
  expect(timings.lastWordsMs).toBeGreaterThan(timings.drainMs)
})
