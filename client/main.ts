#!/usr/bin/env node
import { run } from './cli/cli.js'
import { currentFolder } from './cli/current-folder.js'
import { exitWith, interruption } from './cli/ending.js'
import { jobControl } from './cli/job-control.js'

const signal = interruption()
const status = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: currentFolder(),
  signal,
  job: jobControl(),
})
exitWith(status, signal)
