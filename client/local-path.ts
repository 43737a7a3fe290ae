import { resolve } from 'node:path'
import { NOT_UTF8 } from './raw-arguments.js'

/** `path`, seen from `cwd`. Node does not know the name of a folder that is not UTF-8, but the system does. */
export function pathFrom(cwd: string, path: string): string {
  return cwd.includes(NOT_UTF8) ? path : resolve(cwd, path)
}
