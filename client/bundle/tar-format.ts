/** The headers of a tar (POSIX.1-2017, pax), by node-tar: the one file that imports it. */
export { Header } from 'tar/header'
export { Pax } from 'tar/pax'
