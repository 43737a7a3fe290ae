#!/usr/bin/env node
import { run } from './cli.js'
import { currentFolder } from './current-folder.js'
import { exitWith, interruption } from './ending.js'
import { jobControl } from './job-control.js'

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
