/** The same text for all names that some file system takes for one: `A.txt` and `a.txt`, `é` of one character and of two. */
export function foldedName(name: string): string {
  return name.normalize('NFKC').toUpperCase().toLowerCase()
}
