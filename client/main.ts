#!/usr/bin/env node
import { run } from './cli.js'

const interrupt = new AbortController()
// Once each: whoever presses Ctrl-C again means it, and the default ends the process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort())

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  signal: interrupt.signal,
})
