// Curves as SVG: hairlines for y, an axis for x, a label at each line's end, values read by pointer or keyboard, drag to
// zoom. At most two points a pixel column come from the studio, so what is drawn is what was logged.

import {el, svg, say, button} from './dom.js'
import {written} from './numbers.js'
import {save, csv, drawing} from './saved.js'

const PAD = {left: 48, right: 8, top: 8, bottom: 24}
const listeners = new Set() // charts of the page read the same x together

export function ticks(low, high, most = 5) {
  if (!(high > low)) return [low]
  const power = 10 ** Math.floor(Math.log10((high - low) / most)), out = []
  const held = (step) => Math.floor(high / step + 1e-9) - Math.ceil(low / step - 1e-9) + 1
  const step = power * ([10, 5, 2].find((m) => held(m * power) >= Math.min(4, most)) ?? 1)
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) out.push(Math.abs(v) < step * 1e-9 ? 0 : v)
  return out
}

export function logTicks(low, high) {
  const out = []
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++) {
    for (const m of high / low < 30 ? [1, 2, 5] : [1]) if (m * 10 ** p >= low * 0.999 && m * 10 ** p <= high * 1.001) out.push(m * 10 ** p)
  }
  return out.length > 7 ? out.filter((_, i) => i % Math.ceil(out.length / 6) === 0) : out
}

export function tickText(values) {
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : Math.abs(values[0]) || 1
  const biggest = Math.max(...values.map(Math.abs))
  if (biggest >= 1e6 || (biggest > 0 && biggest < 1e-3)) return values.map((v) => written(v))
  const decimals = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)))
  return values.map((v) => written(v, null, null, {decimals}))
}

// A small curve for a list: no axes, a dot at its end.
export function spark(pairs, color = 'var(--ink-2)') {
  const points = pairs.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y))
  const box = svg('svg', {class: 'spark', viewBox: '0 0 92 28', 'aria-hidden': 'true'})
  if (!points.length) return box
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1])
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
  const at = ([x, y]) => [3 + 84 * (x1 > x0 ? (x - x0) / (x1 - x0) : 1), 25 - 22 * (y1 > y0 ? (y - y0) / (y1 - y0) : 0.5)]
  const line = points.map((p) => at(p).map((v) => v.toFixed(1)).join(',')).join(' '), [ex, ey] = at(points.at(-1))
  box.append(svg('polyline', {points: line, fill: 'none', stroke: color, 'stroke-width': 1.2}), svg('circle', {cx: ex, cy: ey, r: 2.2, fill: color}))
  return box
}

// options: title, note, unit; height; lines: [{name, color, x, y, mean, width}]; log; end (x of the planned end); now;
// onzoom([low, high] | null); onpick(x) where a point is clicked or Enter is pressed on it; rows(), a promise of all that was
// logged as [head, ...rows]; small
export class Chart {
  constructor(options = {}) {
    this.small = options.small ?? false
    this.height = options.height ?? (this.small ? 128 : 300)
    this.onzoom = options.onzoom
    this.onpick = options.onpick
    this.rows = options.rows ?? (async () => [[this.model.axis ?? 'step', ...this.model.lines.map((l) => l.name)], ...(this.longest()?.x ?? []).map((x) => [x, ...this.model.lines.map((l) => l.y[nearest(l.x, x)])])])
    this.title = el('h3', {})
    this.note = el('p', {class: 'note'})
    this.box = svg('svg', {tabindex: 0, role: 'img'})
    this.read = el('div', {class: 'read', hidden: true})
    this.table = el('details', {class: 'note'}, el('summary', {}, 'table'))
    this.table.addEventListener('toggle', () => this.fillTable())
    const kept = [button('csv', () => this.saveRows(), {class: 'link'}), button('svg', () => save(`${this.model.title || 'chart'}.svg`, drawing(this.box), 'image/svg+xml'), {class: 'link'})]
    this.node = el('figure', {class: 'chart'}, this.title, this.note, this.box, this.read, el('div', {class: 'keep note'}, this.table, kept))
    this.cursor = null
    this.model = {lines: [], title: ''}
    this.box.addEventListener('pointermove', (e) => this.point(this.xAt(e)))
    this.box.addEventListener('pointerleave', () => this.point(null))
    this.box.addEventListener('pointerdown', (e) => this.begin(e))
    this.box.addEventListener('dblclick', () => this.onzoom?.(null))
    this.box.addEventListener('click', (e) => this.pick(this.xAt(e)))
    this.box.addEventListener('keydown', (e) => this.key(e))
    this.hear = (x) => this.showReading(x)
    listeners.add(this.hear)
    this.size = new ResizeObserver(() => this.draw())
    this.size.observe(this.node)
  }

  close() {
    listeners.delete(this.hear)
    this.size.disconnect()
  }

  set(model) {
    this.model = model
    this.draw()
  }

  draw() {
    const m = this.model, width = Math.max(200, this.node.clientWidth || 600), H = this.height
    this.width = width
    this.box.setAttribute('viewBox', `0 0 ${width} ${H}`)
    this.box.style.height = `${H}px`
    const last = m.lines.at(-1)?.y.findLast?.(Number.isFinite)
    this.title.replaceChildren(el('span', {}, m.title + (m.unit ? `, ${m.unit}` : '') + (m.log ? ' (log axis)' : '')),
      ...(this.small && Number.isFinite(last) ? [el('b', {}, written(last))] : []))
    this.note.textContent = m.note ?? ''
    this.note.hidden = !m.note
    const xs = m.lines.flatMap((l) => [l.x[0], l.x.at(-1)]).filter(Number.isFinite)
    const ys = m.lines.flatMap((l) => l.y).filter((v) => Number.isFinite(v) && (!m.log || v > 0))
    this.x0 = m.zoom?.[0] ?? Math.min(0, ...xs)
    this.x1 = m.zoom?.[1] ?? Math.max(m.end ?? 0, ...xs, this.x0 + 1e-9)
    if (!ys.length) ys.push(m.log ? 1 : 0, 1)
    const outer = Math.max(0, ...m.lines.map((l) => (l.name ?? '').length + 7))
    this.right = this.small ? PAD.right : PAD.right + Math.max(40, Math.min(width * 0.36, 12 + outer * 6.2))
    const cut = m.log ? ys : shown(ys)
    let [y0, y1] = [Math.min(...cut), Math.max(...cut)]
    if (y1 === y0) [y0, y1] = [y0 - Math.abs(y0 || 1) * 0.1, y1 + Math.abs(y1 || 1) * 0.1]
    const marks = m.log ? logTicks(y0, y1) : ticks(y0, y1, this.small ? 3 : 5)
    if (!m.log) [y0, y1] = [y0 - (y1 - y0) * 0.04, y1 + (y1 - y0) * 0.04]
    ;[this.y0, this.y1] = [y0, y1]
    const parts = [], texts = tickText(marks)
    const bottom = H - PAD.bottom, rightEdge = width - this.right
    marks.forEach((v, i) => {
      const y = this.Y(v)
      parts.push(svg('line', {x1: PAD.left, x2: rightEdge, y1: y, y2: y, stroke: 'var(--rule)'}),
        svg('text', {x: PAD.left - 8, y: y + 4, 'text-anchor': 'end'}, texts[i]))
    })
    const xMarks = ticks(this.x0, this.x1, width < 340 ? 3 : 5), xTexts = tickText(xMarks)
    parts.push(svg('line', {x1: PAD.left, x2: rightEdge, y1: bottom, y2: bottom, stroke: 'var(--edge)'}))
    xMarks.forEach((v, i) => parts.push(svg('line', {x1: this.X(v), x2: this.X(v), y1: bottom, y2: bottom + 4, stroke: 'var(--edge)'}),
      svg('text', {x: this.X(v), y: bottom + 16, 'text-anchor': 'middle'}, xTexts[i])))
    if (!this.small && m.axis) parts.push(svg('text', {x: width - 2, y: bottom + 16, 'text-anchor': 'end'}, m.axis))
    if (Number.isFinite(m.now) && m.now < this.x1) parts.push(
      svg('rect', {x: this.X(m.now), y: PAD.top, width: Math.max(0, rightEdge - this.X(m.now)), height: bottom - PAD.top, fill: 'var(--inset)', opacity: 0.6}),
      svg('line', {x1: this.X(m.now), x2: this.X(m.now), y1: PAD.top, y2: bottom, stroke: 'var(--accent)'}))
    const clip = `c${Math.round(PAD.left)}-${Math.round(rightEdge)}-${H}`
    parts.push(svg('defs', {}, svg('clipPath', {id: clip}, svg('rect', {x: PAD.left, y: PAD.top - 4, width: Math.max(1, rightEdge - PAD.left + 4), height: bottom - PAD.top + 4}))))
    const group = svg('g', {'clip-path': `url(#${clip})`})
    for (const l of m.lines) {
      group.append(this.path(l.x, l.y, l.color, l.mean ? 0.8 : l.width ?? 1.4, l.mean ? 0.4 : 1))
      if (l.mean) group.append(this.path(l.x, l.mean, l.color, 1.8, 1))
      const at = l.y.findLastIndex(Number.isFinite)
      if (at >= 0 && !l.plain) group.append(svg('circle', {cx: this.X(l.x[at]), cy: this.Y(l.y[at]), r: this.small ? 2 : 3, fill: l.color}))
    }
    parts.push(group)
    if (!this.small) parts.push(...this.labels(m.lines, rightEdge))
    if (!m.lines.some((l) => l.y.some(Number.isFinite))) parts.push(
      svg('text', {x: (PAD.left + rightEdge) / 2, y: H / 2, 'text-anchor': 'middle', class: 'label'}, m.waiting ?? 'nothing was logged'))
    this.hairline = svg('line', {y1: PAD.top, y2: bottom, stroke: 'var(--ink-2)', visibility: 'hidden'})
    this.selection = svg('rect', {y: PAD.top, height: bottom - PAD.top, fill: 'var(--accent)', opacity: 0.16, visibility: 'hidden'})
    parts.push(this.hairline, this.selection)
    this.box.replaceChildren(...parts)
    this.box.setAttribute('aria-label', `${m.title}. ${this.sentence()}`)
    if (this.table.open) this.fillTable()
    if (this.cursor !== null) this.showReading(this.cursor)
  }

  path(x, y, color, width, opacity) {
    let d = '', pen = false
    for (let i = 0; i < x.length; i++) {
      if (!Number.isFinite(y[i]) || !Number.isFinite(x[i]) || (this.model.log && y[i] <= 0)) { pen = false; continue }
      d += `${pen ? 'L' : 'M'}${this.X(x[i]).toFixed(1)} ${this.Y(y[i]).toFixed(1)}`
      pen = true
    }
    return svg('path', {d, fill: 'none', stroke: color, 'stroke-width': width, opacity, 'stroke-linejoin': 'round'})
  }

  labels(lines, edge) {
    const placed = lines.map((l) => {
      const at = l.y.findLastIndex(Number.isFinite)
      return at < 0 ? null : {l, x: Math.min(this.X(l.x[at]), edge), y: Math.min(Math.max(this.Y(l.y[at]), PAD.top), this.height - PAD.bottom), value: l.y[at]}
    }).filter(Boolean).sort((a, b) => a.y - b.y)
    for (let i = 1; i < placed.length; i++) placed[i].y = Math.max(placed[i].y, placed[i - 1].y + 14)
    return placed.map((p) => svg('text', {class: 'label', x: Math.min(p.x + 8, edge + 6), y: p.y + 4, style: {fill: p.l.text ?? p.l.color}},
      `${p.l.name} ${written(p.value)}`))
  }

  X(v) { return PAD.left + (v - this.x0) / (this.x1 - this.x0 || 1) * (this.width - this.right - PAD.left) }
  Y(v) {
    const f = this.model.log ? (Math.log(v) - Math.log(this.y0)) / (Math.log(this.y1) - Math.log(this.y0) || 1) : (v - this.y0) / (this.y1 - this.y0)
    return this.height - PAD.bottom - f * (this.height - PAD.bottom - PAD.top)
  }
  xAt(event) {
    const box = this.box.getBoundingClientRect(), px = event.clientX - box.left
    return this.x0 + (px - PAD.left) / (this.width - this.right - PAD.left) * (this.x1 - this.x0)
  }

  begin(event) {
    if (event.pointerType !== 'mouse' || event.button || !this.onzoom) return
    const from = this.xAt(event)
    this.dragged = false
    const move = (e) => {
      const [a, b] = [from, this.xAt(e)].sort((p, q) => p - q)
      this.selection.setAttribute('visibility', 'visible')
      this.selection.setAttribute('x', this.X(Math.max(a, this.x0)))
      this.selection.setAttribute('width', Math.max(0, this.X(Math.min(b, this.x1)) - this.X(Math.max(a, this.x0))))
    }
    const up = (e) => {
      removeEventListener('pointermove', move)
      removeEventListener('pointerup', up)
      this.selection.setAttribute('visibility', 'hidden')
      const [a, b] = [from, this.xAt(e)].sort((p, q) => p - q)
      this.dragged = this.X(b) - this.X(a) > 6
      if (this.dragged) this.onzoom([Math.max(a, this.x0), Math.min(b, this.x1)])
    }
    addEventListener('pointermove', move)
    addEventListener('pointerup', up)
  }

  pick(x) {
    const xs = this.longest()?.x ?? []
    if (this.onpick && xs.length && !this.dragged) this.onpick(xs[nearest(xs, x)])
    this.dragged = false
  }

  key(event) {
    const steps = {ArrowLeft: -1, ArrowRight: 1}, xs = this.longest()?.x ?? []
    if (event.key in steps && xs.length) {
      event.preventDefault()
      event.stopPropagation()
      const at = this.cursor === null ? xs.length - 1 : nearest(xs, this.cursor) + steps[event.key] * (event.shiftKey ? 10 : 1)
      this.point(xs[Math.max(0, Math.min(xs.length - 1, at))])
      say(this.read.textContent)
    } else if (event.key === 'Enter' && this.cursor !== null) this.pick(this.cursor)
    else if (event.key === '0') this.onzoom?.(null)
    else if ((event.key === '+' || event.key === '-') && this.onzoom) {
      const middle = this.cursor ?? (this.x0 + this.x1) / 2, half = (this.x1 - this.x0) / (event.key === '+' ? 4 : 1)
      this.onzoom(event.key === '-' && !this.model.zoom ? null : [Math.max(0, middle - half), middle + half])
    } else if (event.key === 't') this.table.open = !this.table.open
    else if (event.key === 'Escape' && this.cursor !== null) this.point(null)
    else return
    event.stopPropagation()
  }

  longest() { return [...this.model.lines].sort((a, b) => b.x.length - a.x.length)[0] }
  point(x) { for (const hear of listeners) hear(x) }

  showReading(x) {
    this.cursor = x
    const long = this.longest()
    if (x === null || !long?.x.length) {
      this.read.hidden = true
      this.hairline?.setAttribute('visibility', 'hidden')
      return
    }
    const snapped = long.x[nearest(long.x, x)], px = this.X(snapped)
    if (px < PAD.left - 1 || px > this.width) return
    this.hairline.setAttribute('x1', px)
    this.hairline.setAttribute('x2', px)
    this.hairline.setAttribute('visibility', 'visible')
    const rows = this.model.lines.map((l) => [l.name, l.y[nearest(l.x, snapped)]]).filter((r) => Number.isFinite(r[1])).sort((a, b) => b[1] - a[1])
    this.read.replaceChildren(el('b', {}, `${this.model.axis ?? 'step'} ${written(snapped)}`), ...rows.map(([n, v]) => el('div', {}, `${n} ${written(v)}`)))
    this.read.hidden = false
    const flip = px > this.width * 0.6
    this.read.style.left = flip ? 'auto' : `${px + 10}px`
    this.read.style.right = flip ? `${this.width - px + 10}px` : 'auto'
    this.read.style.top = this.small ? '24px' : '48px'
  }

  // "falls from 4.0 to 0.522 over 80 epochs, lowest at 72"
  sentence() {
    return this.model.lines.map((l) => {
      const good = l.y.map((v, i) => [l.x[i], v]).filter((p) => Number.isFinite(p[1]))
      if (good.length < 2) return `${l.name}: ${good.length ? written(good[0][1]) : 'nothing yet'}`
      const [first, last] = [good[0][1], good.at(-1)[1]], least = good.reduce((a, b) => b[1] < a[1] ? b : a)
      const turn = last < first ? 'falls' : last > first ? 'rises' : 'stays'
      return `${l.name} ${turn} from ${written(first)} to ${written(last)} over ${written(good.at(-1)[0])} ${this.model.axis ?? 'steps'}, lowest at ${written(least[0])}`
    }).join('; ')
  }

  async saveRows() {
    try {
      save(`${this.model.title || 'chart'}.csv`, csv(await this.rows()), 'text/csv')
    } catch (error) {
      this.note.textContent = error.message
      this.note.hidden = false
    }
  }

  fillTable() {
    if (!this.table.open) return
    const long = this.longest(), rows = long ? long.x.map((x, i) => [x, i]) : []
    const most = 25, step = Math.max(1, Math.ceil(rows.length / most))
    const kept = rows.filter((_, i) => i % step === 0 || i === rows.length - 1)
    const head = el('tr', {}, el('th', {scope: 'col'}, this.model.axis ?? 'step'), this.model.lines.map((l) => el('th', {scope: 'col', class: 'num'}, l.name)))
    const body = kept.map(([x]) => el('tr', {}, el('th', {scope: 'row'}, written(x)), this.model.lines.map((l) => el('td', {class: 'num'}, written(l.y[nearest(l.x, x)])))))
    this.table.replaceChildren(el('summary', {}, 'table'), el('table', {}, el('caption', {}, step > 1 ? `every ${step}th of ${rows.length} drawn rows` : `all ${rows.length} drawn rows`),
      el('thead', {}, head), el('tbody', {}, body)))
  }
}

export function nearest(xs, x) {
  let low = 0, high = xs.length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (xs[middle] < x) low = middle
    else high = middle
  }
  return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high
}

// Where over half of a curve lies in the lowest tenth of its range, a few first values would press the rest flat.
function shown(ys) {
  const sorted = [...ys].sort((a, b) => a - b), high = sorted.at(-1), low = sorted[0]
  const tenth = low + (high - low) / 10, below = sorted.filter((v) => v <= tenth).length
  return below > sorted.length / 2 && sorted.length > 20 ? ys.filter((v) => v <= sorted[Math.floor(sorted.length * 0.97)]) : ys
}
