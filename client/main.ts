#!/usr/bin/env node
import { run } from './cli.js'
import { currentFolder } from './current-folder.js'

const interrupt = new AbortController()
// SIGHUP: the terminal is closed, and a FIN of the dying process could be taken for its word.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, function onSignal() {
    if (!interrupt.signal.aborted) {
      interrupt.abort()
      return
    }
    // Whoever presses Ctrl-C again means it: what it does by itself is to end the process.
    process.off(signal, onSignal)
    process.kill(process.pid, signal)
  })

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: currentFolder(),
  signal: interrupt.signal,
})
