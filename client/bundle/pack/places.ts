/** The path of an entry of a folder. A path that is not UTF-8 is a Buffer. */
export function childOf(folder: string | Buffer, name: string): string | Buffer {
  if (typeof folder === 'string') return folder.endsWith('/') ? folder + name : `${folder}/${name}`
  return Buffer.concat([folder, Buffer.from(folder.at(-1) === SLASH ? name : `/${name}`)])
}

const SLASH = '/'.charCodeAt(0)
