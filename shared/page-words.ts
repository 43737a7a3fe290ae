/** What a page says with and without its script. */
export const PAGE_WORDS = {
  send: 'Send a file',
  sealed: 'A sealed file',
  text: 'A text',
  nameless: 'A file without a name',
  sizeUnknown: 'size not known',
  worksOnce: 'this link works once',
  notStarted: 'The sender has not started yet. Your download begins when it does.',
  terminal: 'In a terminal',
} as const
