const DECIMAL = { base: 1000, units: ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] } as const
const BINARY = { base: 1024, units: ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] } as const

/** A size for people: `0 B`, `1 B`, `999 B`, `1.0 kB`, `42.0 MB`, `1.5 GB` (decimal, one digit after the point). */
export function formatBytes(bytes: number): string {
  return inUnits(bytes, DECIMAL)
}

/**
 * A limit on sizes for people, in the units that its owner chose: `1.5 GB`, but `1.0 GiB` for 2^30, because that many
 * bytes were not chosen by powers of 1000.
 */
export function formatLimit(limit: number): string {
  return inUnits(limit, isBinary(limit) ? BINARY : DECIMAL)
}

/**
 * A size and the limit that it is beside, in the same units: `['2.1 GB', '1.5 GB']`, `['2.0 GiB', '1.0 GiB']`. Two
 * sizes that would read alike are counted in bytes.
 */
export function formatAgainstLimit(size: number, limit: number): readonly [size: string, limit: string] {
  const units = isBinary(limit) ? BINARY : DECIMAL
  const words = [inUnits(size, units), inUnits(limit, units)] as const
  return size !== limit && words[0] === words[1] ? [`${size} bytes`, `${limit} bytes`] : words
}

/**
 * How far a transfer came, for people: `362.0 MB of 2.1 GB`, or `362.0 MB` where the total isn't known. Two sizes that
 * would read alike are counted in bytes.
 */
export function formatPart(bytes: number, total: number | undefined): string {
  const [part, whole] = [formatBytes(bytes), total === undefined ? '' : formatBytes(total)]
  if (part === whole && bytes !== total) return `${bytes} of ${total} bytes`
  return whole === '' ? part : `${part} of ${whole}`
}

/** A number of things, for people: `1 transfer`, `32 transfers`, `1,204 items`. */
export function formatCount(count: number, noun: string): string {
  return `${formatNumber(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** A whole number for people: `1,204`. */
export function formatNumber(number: number): string {
  return String(number).replaceAll(/\B(?=(?:\d{3})+$)/g, ',')
}

function inUnits(bytes: number, { base, units }: typeof DECIMAL | typeof BINARY): string {
  let value = bytes
  let unit = 0
  // 999.95 would print as "1000.0", so the next unit starts there.
  while (value >= (unit === 0 ? base : base - 0.05) && unit < units.length - 1) {
    value /= base
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** True for 10 GiB and 500 GiB, false for 10 GB and 1500 kB: more factors of 1024 than of 1000. */
function isBinary(bytes: number): boolean {
  return timesDivisible(bytes, BINARY.base) > timesDivisible(bytes, DECIMAL.base)
}

function timesDivisible(value: number, factor: number): number {
  let times = 0
  for (let rest = value; rest >= factor && rest % factor === 0; rest /= factor) times++
  return times
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

const DURATION =
  /^(?=\S)(?:(?<hours>\d+(?:\.\d+)?)\s*h)?\s*(?:(?<minutes>\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(?<seconds>\d+(?:\.\d+)?)\s*s)?$/i

/**
 * Reads a duration that a person typed, in seconds: `90`, `90s`, `10m`, `1h30m`, `1.5h`, `9 min 30 s`. A number alone is
 * seconds. Undefined for anything else, and for `1h30`, which may mean either.
 */
export function parseDuration(text: string): number | undefined {
  const typed = text.trim()
  if (/^\d+(?:\.\d+)?$/.test(typed)) return finite(Number(typed))
  const parts = DURATION.exec(typed)?.groups
  if (parts === undefined) return undefined
  const { hours = 0, minutes = 0, seconds = 0 } = parts
  return finite(3600 * Number(hours) + 60 * Number(minutes) + Number(seconds))
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined
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
