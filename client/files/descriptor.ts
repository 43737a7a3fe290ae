const DESCRIPTOR = /^\/(?:dev\/(?:stdin|stdout|stderr|fd\/\d+)|proc\/(?:self|thread-self|\d+)\/fd\/\d+)$/

/**
 * True for the path of an open file, such as /dev/stdout. It is a way to that file and not its name: nothing can be
 * renamed over it, and its last component says nothing about what is in it.
 */
export function isDescriptor(path: string): boolean {
  return DESCRIPTOR.test(path)
}
