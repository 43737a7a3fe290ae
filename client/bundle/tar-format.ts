/** The header of a tar's entry (POSIX.1-2017, pax), by node-tar: the one file that imports it. */
export { Header } from 'tar/header'
