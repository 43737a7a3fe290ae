/**
 * The version of this package, for `--version`, `User-Agent` and the metrics. A test keeps it equal to package.json,
 * which can't be read at run time: a bundle of the library has none beside it.
 */
export const VERSION = '0.1.0'
