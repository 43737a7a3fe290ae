import { EssError } from '../../shared/index.js'

/**
 * A part of the page that is loaded by `import()`. Throws EssError `server-unreachable` if it can't be loaded: the server is away,
 * or has another version by now.
 */
export async function load<Part>(part: Promise<Part>): Promise<Part> {
  try {
    return await part
  } catch (cause) {
    throw new EssError('server-unreachable', undefined, { cause })
  }
}
