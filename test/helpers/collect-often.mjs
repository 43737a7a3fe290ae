// Loaded into a server whose memory is measured: what it doesn't hold is soon gone.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const EVERY_MS = 50
/** The time between two collections, in times of the last one: with much to look through, they leave room for work. */
const REST = 9

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

function collectAgain() {
  const startMs = performance.now()
  collect()
  collectLater(REST * (performance.now() - startMs))
}

function collectLater(ms) {
  setTimeout(collectAgain, Math.max(EVERY_MS, ms)).unref()
}

collectLater(EVERY_MS)
