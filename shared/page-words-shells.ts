/** What the server writes into its pages itself, for those without a script: see `page-words.ts`. */
export const SHELLS = {
  needsScript:
    'This page needs its script. If your browser runs scripts, this one could not be loaded: reload the page. You can also send from a terminal.',
  sendInOne: 'Send (it prints the link at once; leave it running):',
  sendInTwo: 'Send in two steps (the first prints the link, then the ADDRESS for your upload):',
  sendChecked: 'With ess, which also checks that every byte arrived:',

  download: 'Download',
  isBundle: 'Several files or a folder, as one tar.',
  unpack: 'Or unpack it into the current folder, as it comes:',
  getChecked: 'With Node, and checked to the last byte:',

  downloadSealed: 'Download it encrypted',
  whereKeyIs:
    'This server has no key for it, and doesn’t know its name. The key is the end of your link, behind the #. If your link has no #, the file is encrypted for a key or a password that you and the sender share.',
  sealedName: (name: string) => `The button uses the link up, and gives you ${name}, which age opens.`,
  getWithEss: 'With ess, where LINK is the whole link, with its end:',
  getWithEssOrNode: 'With ess, or by Node alone, where LINK is the whole link, with its end:',
  getWithAge:
    'Or with curl and age. For the file key.txt, copy the end of the link, from AGE-SECRET-KEY on; for a password, leave out -i key.txt:',

  typeToken: 'To type it in, reload this page. Any user name is right, and the token is the password.',

  /** For a search, or for whom the person asks. */
  code: (code: string) => `Error code: ${code}`,
} as const
