const DECIMAL_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** A size for people: `0 B`, `1 B`, `999 B`, `1.0 kB`, `42.0 MB`, `1.5 GB` (decimal, one digit after the point). */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  // 999.95 would print as "1000.0", so the next unit starts there.
  while (value >= (unit === 0 ? 1000 : 999.95) && unit < DECIMAL_UNITS.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${DECIMAL_UNITS[unit]}`
}

/**
 * A duration for people, in whole seconds and at most two units: `0 s`, `45 s`, `9 min 30 s`, `10 min`, `1 h 5 min`.
 */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  const rest = whole % 60
  const parts = [hours > 0 && `${hours} h`, minutes > 0 && `${minutes} min`, rest > 0 && `${rest} s`].filter(
    (part) => part !== false,
  )
  return parts.length === 0 ? '0 s' : parts.slice(0, 2).join(' ')
}

const SIZE_FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  t: 1e12,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/**
 * Reads a size that a person typed: `1024`, `64KiB`, `10 GiB`, `1.5GB`. kB, MB, GB and TB are powers of 1000; KiB,
 * MiB, GiB and TiB are powers of 1024. Undefined unless it is a whole number of bytes.
 */
export function parseByteSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const factor = SIZE_FACTORS[(match?.[2] ?? '?').toLowerCase()]
  if (match === null || factor === undefined) return undefined
  const exact = Number(match[1]) * factor
  const bytes = Math.round(exact)
  // 1.005 GB is a whole number of bytes, but its floating-point product is slightly off.
  const isWhole = Math.abs(exact - bytes) <= exact * Number.EPSILON
  return isWhole && Number.isSafeInteger(bytes) ? bytes : undefined
}
