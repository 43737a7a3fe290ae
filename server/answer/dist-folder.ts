/**
 * Where the build puts what a server hands out. Undefined in a bundle, beside which such files would be another
 * program's: in CommonJS `import.meta` is empty, and in an ES module it has the bundle's own name.
 */
export function distFolder(): URL | undefined {
  const own: string | undefined = import.meta.url
  if (own?.endsWith('/answer/dist-folder.js')) return new URL('../../', own)
  if (own?.endsWith('/answer/dist-folder.ts')) return new URL('../../dist/', own)
  return undefined
}
