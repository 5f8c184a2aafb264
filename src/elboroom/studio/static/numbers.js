// How every number is written: the same rules, and the same table of cases, as report/numbers.py.

const MINUS = '−', TIMES = '×', NARROW = '\u202f', SLACK = 1e-6, SKEWED = 1.1
const finite = (v) => typeof v === 'number' && Number.isFinite(v)

export function written(value, low = null, high = null, {form = 'number', unit = '', decimals = null} = {}) {
  if (form === 'date') return typeof value === 'string' ? date(value) : 'none'
  if (!finite(value)) return 'none'
  if (form === 'count') return withUnit(Math.abs(value) < 1e6 ? grouped(value, 0) : words(value), unit)
  if (form === 'time') return time(value)
  if (form === 'size') return size(value)
  if (form === 'share') {
    const scaled = [low, high].map((v) => finite(v) ? 100 * v : null)
    return written(100 * value, ...scaled, {unit: '%', decimals})
  }
  if (form === 'prose' && Math.abs(value) >= 1e6) return withUnit(words(value), unit)
  if (!finite(low) || !finite(high) || high - low <= 1e-12 * Math.max(Math.abs(low), Math.abs(high))) {
    return withUnit(fixed(value, decimals), unit)
  }
  const [half, place] = halfWidth(value, low, high)
  const power = powerOf(Math.max(Math.abs(value), half))
  const shown = [value, low, high].map((v) => atPlace(v, place, power))
  const tail = power ? `${TIMES} 10${superscript(power)}` : ''
  const whole = [tail, unit].filter(Boolean).join(' ')
  if (form === 'ratio' || isSkewed(value, low, high)) return withUnit(`${shown[0]} (${shown[1]} to ${shown[2]})`, whole)
  const margin = `${shown[0]} ± ${atPlace(half, place, power)}`
  return withUnit(tail ? `(${margin})` : margin, whole)
}

const withUnit = (text, unit) => unit ? `${text}${unit === '%' ? NARROW : ' '}${unit}` : text

function isSkewed(value, low, high) {
  const sides = [value - low, high - value].sort((a, b) => a - b)
  return sides[0] <= 0 || sides[1] / sides[0] > SKEWED + SLACK
}

function halfWidth(value, low, high) {
  const whole = (high - low) / 2, narrow = Math.min(value - low, high - value), half = narrow > 0 && isSkewed(value, low, high) ? Math.max(narrow, whole / 10) : whole, power = Math.floor(Math.log10(half) + 1e-12)
  const two = Math.ceil(half / 10 ** (power - 1) * (1 - SLACK))
  if (two >= 11 && two <= 19) return [two * 10 ** (power - 1), power - 1]
  const one = Math.ceil(half / 10 ** power * (1 - SLACK))
  return one === 10 ? [10 ** (power + 1), power + 1] : [one * 10 ** power, power]
}

const powerOf = (size) => size === 0 || (size >= 1e-4 && size < 1e6) ? 0 : Math.floor(Math.log10(size))

function atPlace(value, place, power) {
  const rounded = place > 0 ? Math.round(value / 10 ** place) * 10 ** place : value
  return grouped(rounded / 10 ** power, Math.max(0, power - place))
}

function fixed(value, decimals) {
  const power = powerOf(Math.abs(value))
  if (power) return `${String(Number((value / 10 ** power).toPrecision(3))).replace('-', MINUS)} ${TIMES} 10${superscript(power)}`
  if (decimals !== null) return grouped(value, decimals)
  if (value === 0) return '0'
  const text = grouped(value, Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value)))))
  return text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text
}

export function grouped(value, decimals) {
  const [whole, part] = Math.abs(value).toFixed(decimals).split('.')
  const text = whole.replace(/\B(?=(\d{3})+$)/g, ',') + (part ? `.${part}` : '')
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text
}

function words(value) {
  for (const [unit, name] of [[1e12, 'trillion'], [1e9, 'billion'], [1e6, 'million']]) {
    if (Math.abs(value) >= unit) return `${short(value / unit)} ${name}`
  }
  return grouped(value, 0)
}

const superscript = (power) => [...String(power)].map((c) => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(c)]).join('')
const short = (value) => (value < 10 ? value.toFixed(1) : value.toFixed(0)).replace(/\.0$/, '')

function time(seconds) {
  if (seconds < 0.9995) return `${short(seconds * 1e3)} ms`
  if (seconds < 59.95) return `${short(seconds)} s`
  const whole = Math.round(seconds)
  for (const [unit, name, part, partName] of [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'min'], [60, 'min', 1, 's']]) {
    if (whole < unit) continue
    let units = Math.floor(whole / unit), rest = Math.round((whole % unit) / part)
    if (rest * part === unit) [units, rest] = [units + 1, 0]
    return rest ? `${units} ${name} ${rest} ${partName}` : `${units} ${name}`
  }
  return `${whole} s`
}

function size(bytes) {
  for (const [unit, name] of [[1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB']]) {
    if (bytes >= unit) return `${short(bytes / unit)} ${name}`
  }
  return `${bytes.toFixed(0)} B`
}

function date(text) {
  const zone = /(Z|[+-]\d\d:?\d\d)$/.test(text), when = new Date(zone ? text : text + 'Z')
  if (!/^\d{4}-/.test(text) || Number.isNaN(when.getTime())) return 'none'
  return when.toISOString().slice(0, 16).replace('T', ' ') + (zone ? ' UTC' : '')
}

// Times in lists: 14:02 today, 19 Nov before, in the reader's own zone.
export function when(text) {
  const at = new Date(text)
  if (!text || Number.isNaN(at.getTime())) return ''
  const now = new Date(), two = (n) => String(n).padStart(2, '0')
  if (at.toDateString() === now.toDateString()) return `${two(at.getHours())}:${two(at.getMinutes())}`
  const month = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'][at.getMonth()]
  return `${at.getDate()} ${month}${at.getFullYear() === now.getFullYear() ? '' : ` ${at.getFullYear()}`}`
}

export const count = (value, one, many = `${one}s`) => `${written(value, null, null, {form: 'count'})} ${value === 1 ? one : many}`
export const took = (seconds) => written(seconds, null, null, {form: 'time'})

// Seconds left as "25 min (24 to 27)", in one unit for all three.
export function left(seconds) {
  const [low, middle, high] = seconds.length > 1 ? [Math.min(...seconds), seconds.reduce((a, b) => a + b) / seconds.length,
    Math.max(...seconds)] : [seconds[0], seconds[0], seconds[0]]
  const [unit, name, digits] = middle < 100 ? [1, 's', 0] : middle < 6000 ? [60, 'min', 0] : [3600, 'h', 1]
  const texts = [middle, low, high].map((s) => (s / unit).toFixed(digits))
  return texts[1] === texts[2] ? `${texts[0]} ${name}` : `${texts[0]} ${name} (${texts[1]} to ${texts[2]})`
}
