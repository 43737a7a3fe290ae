/** The journal of a part. A folder that has none is no part. */
export const JOURNAL = 'journal'
