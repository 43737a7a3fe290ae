/** A time for `utimes`, from seconds since 1970. Node takes a number that is negative, which is before 1970, for now. */
export function fileTime(seconds: number): number | Date {
  return seconds < 0 ? new Date(seconds * 1000) : seconds
}
