import { type Program, type RunOptions, run } from './run.js'

/**
 * Starts the real curl: silent but for errors, its output unbuffered, without the user's configuration.
 * A test that calls this says `needs(context, 'curl')` first.
 */
export function runCurl(args: readonly string[], options?: RunOptions): Promise<Program> {
  // `-q` only counts as the first argument.
  return run(`curl ${args.join(' ')}`, 'curl', ['-q', '-sS', '-N', ...args], options)
}
