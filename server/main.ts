#!/usr/bin/env node
import { closeLostTerminals } from './cli/lost-terminal.js'
import { run } from './cli/run.js'

closeLostTerminals()
process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  onStop: (listener) => {
    process.on('SIGTERM', listener).on('SIGINT', listener)
  },
  onReload: (listener) => {
    process.on('SIGHUP', listener)
  },
})

// Only the last lines are left to be written, and their reader may have stopped reading.
setTimeout(() => process.exit(), 2000).unref()
