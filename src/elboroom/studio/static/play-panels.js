// The panels of a stretch of a series: channels with what was expected of them and the score under them, with events and
// the threshold over all. Values are read by pointer or keys; a drag chooses a stretch.

import {el, svg, put, named, say} from './dom.js'
import {written} from './numbers.js'
import {grown} from './play-drawn.js'

const BADGE = 22, LINES = 20

export const short = (v, digits = 3) => written(Number(v.toPrecision(digits)))

// Ascending places at least `gap` from each other, as near to where they were as that lets them be, within low and high.
export function apart(places, gap, low, high) {
  const blocks = []
  for (const [i, place] of places.entries()) {
    let last = {sum: place - i * gap, n: 1}
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).n > last.sum / last.n) {
      const before = blocks.pop()
      last = {sum: before.sum + last.sum, n: before.n + last.n}
    }
    blocks.push(last)
  }
  const room = high - gap * (places.length - 1)
  return blocks.flatMap(({sum, n}) => new Array(n).fill(sum / n)).map((base, i) => Math.max(low, Math.min(room, base)) + i * gap)
}

// Events and the threshold lie over them in groups of their own, which are drawn alone.
export class Panels {
  constructor({zoom, pan, pick}) {
    Object.assign(this, {zoom, pan, pick, behind: svg('g'), over: svg('g'), hair: svg('line', {stroke: 'var(--ink-2)', visibility: 'hidden'}), chosen: svg('rect', {fill: 'var(--accent)', opacity: 0.16, visibility: 'hidden'})})
    this.box = el('div', {class: 'drawn', tabindex: 0, role: 'img'})
    this.read = el('div', {class: 'read', hidden: true})
    this.node = el('figure', {class: 'chart'}, this.box, this.read)
    const on = (kind, does, more) => this.box.addEventListener(kind, does, more)
    on('pointermove', (e) => this.point(this.rowAt(e)))
    on('pointerleave', () => this.point(null))
    on('pointerdown', (e) => this.drag(e))
    on('dblclick', () => zoom(null))
    on('keydown', (e) => this.key(e))
    on('wheel', (e) => {
      if (!this.m || this.m.stop - this.m.start >= this.m.one.rows) return
      e.preventDefault()
      pan(Math.sign(e.deltaY || e.deltaX) * Math.max(1, Math.round((this.m.stop - this.m.start) / 10)))
    }, {passive: false})
  }

  get width() { return Math.max(280, Math.round(this.node.clientWidth || 900)) }
  t(row) { return this.m.one.times ? this.m.one.times[row] / 1000 : row }
  at(t) { const [a, b, x, y] = this.m.panels[0].x; return x + Math.max(0, Math.min(1, (t - a) / (b - a))) * (y - x) }
  X(row, end = 0) { return this.at(this.t(row) + end * this.m.half) }
  Y({y: [a, b, from, to], log}, v) { const f = log ? (u) => Math.log(Math.max(u, 1e-300)) : (u) => u; return from + Math.max(0, Math.min(1, (f(v) - f(a)) / (f(b) - f(a)))) * (to - from) }
  rowAt(event) {
    const box = this.box.getBoundingClientRect(), [a, b, x, y] = this.m.panels[0].x, t = a + ((event.clientX - box.left) * this.scale - x) / (y - x) * (b - a)
    let [low, high] = [this.m.start, this.m.stop - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.t(middle) + this.m.half < t) low = middle + 1
      else high = middle
    }
    return low
  }

  // m: one, start, stop, every, frame, panels, low, high, expected, below, above, names, half, warmUp; events, place, threshold
  set(m) {
    this.m = m
    this.cuts = new Set(m.one.segments.map(([s]) => Math.ceil((s - m.start) / m.every)))
    const box = grown(m.frame), n = m.low.length / m.panels.length, bottom = m.panels.at(-1).y[2], draw = (d, more) => box.append(svg('path', {d, fill: 'none', ...more}))
    for (const [i, panel] of m.panels.entries()) {
      const of = (name) => m[name].subarray(i * n, (i + 1) * n), Y = (v) => this.Y(panel, v).toFixed(1)
      if (i < m.panels.length - 1) {
        draw(this.band(of('below'), of('above'), Y), {fill: 'var(--c1)', opacity: 'var(--band-opacity)'})
        if (m.every < 4) draw(this.line(of('expected'), of('expected'), Y), {stroke: 'var(--c1)', opacity: 0.8})
      }
      draw(this.line(of('low'), of('high'), Y), {stroke: 'var(--ink)', 'stroke-width': 1.1, 'stroke-linejoin': 'round'})
    }
    const gaps = m.one.segments.map(([s]) => s).filter((s) => s > m.start && s < m.stop)
    this.grey = this.unjudged()
    const shade = [...box.querySelectorAll('rect.learnt, rect.calibration, rect.judged')].at(-1), top = this.top = Number(shade?.getAttribute('y') ?? 0)
    if (gaps.length <= LINES) for (const s of gaps) draw(`M${this.X(s, -1)} ${top}V${bottom}`, {stroke: 'var(--edge)', 'stroke-dasharray': '3 3'})
    const under = [svg('path', {d: this.grey.map(([a, b]) => `M${a.toFixed(1)} ${top}H${b.toFixed(1)}V${bottom}H${a.toFixed(1)}Z`).join(''), style: {fill: 'var(--ink)'}, opacity: 0.08}), this.behind]
    shade ? shade.after(...under) : box.prepend(...under)
    box.append(this.over, this.hair, this.chosen)
    for (const [name, v] of [['y1', 0], ['y2', bottom]]) this.hair.setAttribute(name, v)
    this.chosen.setAttribute('height', bottom)
    put(this.box, box)
    this.scale = Number(box.getAttribute('width')) / (box.getBoundingClientRect().width || 1)
    this.move()
  }

  // From where rows end to the first that is judged again, in pixels; those that touch are one.
  unjudged() {
    const {one, start, stop, warmUp} = this.m, bands = []
    for (const [i, [s, e]] of one.segments.entries()) {
      const last = i ? one.segments[i - 1][1] : s, to = Math.min(s + warmUp, e)
      if (to <= start || last >= stop) continue
      const [a, b] = [i ? this.X(last - 1, 1) : this.X(s, -1), this.X(to - 1, 1)]
      if (bands.length && a - bands.at(-1)[1] < 0.5) bands.at(-1)[1] = b
      else if (b > a) bands.push([a, b])
    }
    return bands
  }

  // What a moved threshold changes.
  move(values = {}) {
    if (!this.m) return
    const m = Object.assign(this.m, values), score = m.panels.at(-1), bottom = score.y[2], edge = score.x[3], y = this.Y(score, m.threshold), left = score.x[2]
    const seen = m.events.map((e, i) => [e, i]).filter(([e]) => e.stop > m.start && e.start < m.stop), middle = (e) => (this.X(e.start, -1) + this.X(e.stop - 1, 1)) / 2
    this.behind.replaceChildren(...seen.map(([e, i]) => {
      const [a, b] = [this.X(Math.max(e.start, m.start), -1), this.X(Math.min(e.stop, m.stop) - 1, 1)]
      return svg('rect', {x: a, width: Math.max(2, b - a), y: this.top, height: bottom - this.top, fill: e.none ? 'var(--base)' : 'var(--bad)', opacity: i === m.place ? 0.28 : 0.16})
    }))
    const parted = m.one.first > m.start ? m.one.first < m.stop ? this.X(m.one.first, -1) : edge : score.x[2]
    // Numbers of the open event and the highest ones, as many as there is room for, beside each other.
    const numbered = [...seen].sort((p, q) => (q[1] === m.place) - (p[1] === m.place) || q[0].score - p[0].score).slice(0, Math.max(1, Math.floor((edge - left) / BADGE / 2))).sort((p, q) => middle(p[0]) - middle(q[0])), spots = apart(numbered.map(([e]) => middle(e)), BADGE, left, edge)
    const line = (x1, x2, more) => svg('line', {x1, x2, y1: y, y2: y, stroke: 'var(--bad)', 'stroke-width': 1.2, ...more})
    this.over.replaceChildren(line(score.x[2], parted, {'stroke-dasharray': '1 3'}), line(parted, edge), svg('text', {x: edge, y: y < score.y[3] + 14 ? y + 13 : y - 4, 'text-anchor': 'end', class: 'threshold halo'}, `threshold ${short(m.threshold, 4)}`),
      ...numbered.map(([e, i], k) => svg('g', {class: e.none ? 'badge none' : 'badge', onclick: () => this.pick(i)}, Math.abs(spots[k] - middle(e)) > 2 ? svg('path', {d: `M${spots[k]} -4L${middle(e)} 2`, style: {stroke: 'var(--bad)'}}) : null,
        svg('circle', {cx: spots[k], cy: -14, r: 10}), svg('text', {x: spots[k], y: -10, 'text-anchor': 'middle'}, e.number), svg('title', {}, `event ${e.number}${e.none ? ', marked as none' : ''}`))))
  }

  // The middle of a column; of one in which rows are missing, that of its rows before them.
  x(k) {
    const {start, stop, every, one} = this.m, a = start + k * every, b = Math.min(stop, a + every), cut = one.segments.find(([s]) => s > a && s < b)
    return (this.X(a, -1) + this.X((cut ? cut[0] : b) - 1, 1)) / 2
  }

  // Lowest and highest of each column, joined; broken where nothing is and where rows are missing.
  line(low, high, Y) {
    let d = '', pen = false
    for (let k = 0; k < low.length; k++) {
      if (!Number.isFinite(low[k])) { pen = false; continue }
      const x = this.x(k).toFixed(1), [a, b] = k % 2 ? [high[k], low[k]] : [low[k], high[k]]
      d += `${pen && !this.cuts.has(k) ? 'L' : 'M'}${x} ${Y(a)}${a !== b ? `L${x} ${Y(b)}` : pen ? '' : 'h.1'}`
      pen = true
    }
    return d
  }

  band(below, above, Y) {
    let d = '', from = 0
    for (let k = 0; k <= below.length; k++) {
      const there = k < below.length && Number.isFinite(below[k] + above[k])
      if (there && (k === from || !this.cuts.has(k))) continue
      if (k > from) {
        const up = [], down = []
        for (let j = from; j < k; j++) {
          const x = this.x(j).toFixed(1)
          up.push(`${x} ${Y(above[j])}`)
          down.unshift(`${x} ${Y(below[j])}`)
        }
        d += `M${up.join('L')}L${down.join('L')}Z`
      }
      from = there ? k : k + 1
    }
    return d
  }

  point(row) {
    const m = this.m
    this.row = row
    this.read.hidden = row === null || !m
    this.hair.setAttribute('visibility', this.read.hidden ? 'hidden' : 'visible')
    if (this.read.hidden) return
    const n = m.low.length / m.panels.length, k = Math.floor((row - m.start) / m.every), x = this.X(row), score = m.one.score[row], flip = x / this.scale > this.width * 0.6
    for (const name of ['x1', 'x2']) this.hair.setAttribute(name, x)
    const value = (i) => { const [a, b] = [m.low[i * n + k], m.high[i * n + k]]; return Number.isFinite(a) ? a === b ? short(a, 4) : `${short(a, 4)} to ${short(b, 4)}` : 'missing' }
    put(this.read, el('b', {}, m.said(row)), m.names.map((name, i) => el('div', {}, named(name, 24), ` ${value(i)}`, Number.isFinite(m.expected[i * n + k]) ? `, expected ${short(m.expected[i * n + k], 4)}` : '')),
      el('div', {}, `score ${Number.isFinite(score) ? short(score) : 'none'}${row < m.one.first ? ', not judged' : ''}`))
    Object.assign(this.read.style, {left: flip ? 'auto' : `${x / this.scale + 10}px`, right: flip ? `${this.width - x / this.scale + 10}px` : 'auto', top: '40px'})
  }

  drag(event) {
    if (event.button || event.pointerType !== 'mouse' || !this.m || event.target.closest('.badge')) return
    const from = this.rowAt(event), ends = (e) => [from, this.rowAt(e)].sort((p, q) => p - q)
    const move = (e) => {
      const [a, b] = ends(e).map((r) => this.X(r))
      for (const [name, v] of [['visibility', 'visible'], ['x', a], ['width', b - a]]) this.chosen.setAttribute(name, v)
    }
    const up = (e) => {
      removeEventListener('pointermove', move)
      removeEventListener('pointerup', up)
      this.chosen.setAttribute('visibility', 'hidden')
      const [a, b] = ends(e)
      if (this.X(b) - this.X(a) > 6) this.zoom([a, b + 1])
    }
    addEventListener('pointermove', move)
    addEventListener('pointerup', up)
  }

  key(event) {
    if (!this.m) return
    const {start, stop, every} = this.m, by = {ArrowLeft: -1, ArrowRight: 1}[event.key], at = this.row ?? Math.round((start + stop) / 2), half = Math.round((stop - start) / (event.key === '+' ? 4 : 1))
    if (by) {
      this.point(Math.max(start, Math.min(stop - 1, at + by * every * (event.shiftKey ? 10 : 1))))
      say(this.read.innerText)
    } else if ('+-'.includes(event.key)) this.zoom([at - half, at + half])
    else if (event.key === '0') this.zoom(null)
    else return
    event.preventDefault()
    event.stopPropagation()
  }
}
