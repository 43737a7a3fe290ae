import { expect, test } from 'vitest'
import { timings } from '../../../server/node/timings.js'
import { readPage } from '../../helpers/markdown.js'

/** Where the documents say how long the server waits. Other tests change these waits, so that only this one knows them. */
test.each([
  [timings.headMs + timings.headCheckMs, 'errors.md', /headers of the request took longer than (\d+ m?s)/],
  [timings.headMs + timings.headCheckMs, 'operating.md', /a request's head has (\d+ m?s)/],
  [timings.restOfBodyMs, 'protocol.md', /gets `Connection: close` with it, and up to (\d+ m?s) to read/],
  [timings.drainMs, 'protocol.md', /closed for good after at most (\d+ m?s)/],
  [
    timings.heldHeadMs,
    'protocol.md',
    /head is held\*\* until the sender's first byte or its end, at most (\d+ m?s)/,
  ],
  [timings.confirmMs, 'protocol.md', /Neither for (\d+ m?s): `delivered`, `confirmed: false`/],
  [timings.confirmMs, 'operating.md', /the receiver's last bytes (\d+ m?s) to be acknowledged/],
  [timings.wordMs, 'protocol.md', /If it says nothing for (\d+ m?s), or for `resumeWithin`/],
  [timings.wordMs, 'operating.md', /by a page that says so itself: (\d+ m?s), or `--resume-within`/],
  [timings.lastByteMs, 'protocol.md', /they get the last byte of a file of up to 100 KiB (\d+ m?s) after/],
  [timings.readMs, 'faults.md', /asks whether all before them were read, and waits up to (\d+ m?s)/],
])('%i ms is what docs/%s says', async (ms, page, sentence) => {
  const [, duration = ''] = sentence.exec(await readPage(`docs/${page}`)) ?? []
  expect(ms < 1000 ? `${ms} ms` : `${ms / 1000} s`).toBe(duration)
})

test('connections that are closed gently have the time to be', () => {
  expect(timings.lastWordsMs).toBeGreaterThan(timings.drainMs)
})
