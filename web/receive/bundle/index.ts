/** What takes a bundle apart, in one part of the page's script. */
export { toFolder } from './folder.js'
export { unpackTo } from './unpack.js'
export { toZip } from './zip.js'
