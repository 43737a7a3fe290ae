#!/usr/bin/env node
import { run } from './cli/cli.js'
import { currentFolder } from './cli/current-folder.js'
import { exitWith, expectAnEnding, interruption } from './cli/ending.js'
import { jobControl } from './cli/job-control.js'

const signal = interruption()
expectAnEnding()
// It never rejects. Not `await`: the client's own package is CommonJS, which starts sooner.
void run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: currentFolder(),
  signal,
  job: jobControl(),
}).then((status) => exitWith(status, signal))
