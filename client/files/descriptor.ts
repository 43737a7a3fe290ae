const DESCRIPTOR = /^\/(?:dev\/(?:stdin|stdout|stderr|fd\/\d+)|proc\/(?:self|thread-self|\d+)\/fd\/\d+)$/

/**
 * True for the path of an open file, such as /dev/stdout. Such a path leads to the file but isn't its name: nothing
 * can be renamed over it, and its last part says nothing about the content.
 */
export function isDescriptor(path: string): boolean {
  return DESCRIPTOR.test(path)
}
