/** Everything that the pages say, in one place, so that it can be translated. */
export const WORDS = {
  title: 'Send a file',
} as const
