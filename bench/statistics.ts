/** The middle value; of an even number, the mean of the two in the middle. What is NaN does not count; NaN of none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The value below which `share` of them lie, between its neighbours where it falls between two. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.filter(isThere).sort((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}

/** Jain's index of fairness: 1 where all have the same, 1/n where one has everything. */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return squares === 0 ? 0 : (sum * sum) / (shares.length * squares)
}

/** Each value by the other's of the same run: what both had to share, the noise of that minute, cancels out. */
export function pairRatios(values: readonly number[], others: readonly number[]): number[] {
  return values.flatMap((value, run) => {
    const other = others[run]
    return other === undefined || other === 0 ? [] : [value / other]
  })
}

/** False for what stands for a run that failed. */
export function isThere(value: number): boolean {
  return !Number.isNaN(value)
}
