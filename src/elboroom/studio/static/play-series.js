// Series and events: rows that a run has judged. The scores are in the page, so that events come and go as the threshold
// is moved; frames and curves come stretch by stretch, at most two points a pixel column.

import {el, svg, put, named, button, kbd, say} from './dom.js'
import {get, post} from './api.js'
import {written, took, count} from './numbers.js'
import {chosen, hold, take, send} from './drop.js'
import {unpacked, grown} from './play-drawn.js'

const SHARE = 250, ROWS = 25, PANELS = 8, TOP = 26
const rows = (n) => count(n, 'row'), short = (v, digits = 3) => written(Number(v.toPrecision(digits))), percent = (v) => written(v, null, null, {form: 'share', decimals: 0})
const bad = (text) => el('p', {class: 'said-bad', role: 'alert'}, text)
const head = (...names) => el('thead', {}, el('tr', {}, names.map((n) => el('th', {scope: 'col', class: n === 'Peak score' ? 'num' : ['Lasted', 'Channels to blame'].includes(n) ? 'wide' : ''}, n))))

// The events of a score, as anomalies/events.py finds them: `merge` rows of rest, or `gap` rows without a score, end one.
export function findEvents(score, threshold, {first = 0, merge = 1, gap = 10}) {
  const events = []
  let known = -1, before = -1, stretch = 0, last = 0, held = 0, now = null
  for (let i = first; i < score.length; i++) {
    const s = score[i]
    if (Number.isNaN(s)) continue
    known++
    if (before >= 0 && i - before > gap) stretch++
    before = i
    if (!(s > threshold)) continue
    if (!now || known - last > merge || stretch !== held) events.push(now = {start: i, stop: i + 1, peak: i, score: s})
    else {
      now.stop = i + 1
      if (s > now.score) Object.assign(now, {peak: i, score: s})
    }
    ;[last, held] = [known, stretch]
  }
  return events
}

// [channel, share], the largest first: the mean over the rows of an event that have shares.
export function blame({shares}, channels, {start, stop}) {
  const sums = new Array(channels).fill(0)
  let seen = 0
  for (let i = start * channels; i < stop * channels; i += channels) {
    if (shares[i] === 255) continue
    seen++
    for (let c = 0; c < channels; c++) sums[c] += shares[i + c]
  }
  return sums.map((s, c) => [c, seen ? s / seen / SHARE : 0]).sort((a, b) => b[1] - a[1])
}

// The panels of a stretch. Events and the threshold lie over them in groups of their own, which are drawn alone.
class Panels {
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

  // m: one, start, stop, every, frame, panels, low, high, expected, below, above, names, half; events, place, threshold
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
    for (const [s] of m.one.segments) if (s > m.start && s < m.stop) draw(`M${this.X(s, -1)} 0V${bottom}`, {stroke: 'var(--edge)', 'stroke-dasharray': '3 3'})
    box.prepend(this.behind)
    box.append(this.over, this.hair, this.chosen)
    for (const [name, v] of [['y1', 0], ['y2', bottom]]) this.hair.setAttribute(name, v)
    this.chosen.setAttribute('height', bottom)
    put(this.box, box)
    this.scale = Number(box.getAttribute('width')) / (box.getBoundingClientRect().width || 1)
    this.move()
  }

  // What a moved threshold changes.
  move(values = {}) {
    if (!this.m) return
    const m = Object.assign(this.m, values), score = m.panels.at(-1), bottom = score.y[2], edge = score.x[3], y = this.Y(score, m.threshold), taken = []
    const seen = m.events.map((e, i) => [e, i]).filter(([e]) => e.stop > m.start && e.start < m.stop), middle = (e) => (this.X(e.start, -1) + this.X(e.stop - 1, 1)) / 2
    this.behind.replaceChildren(...seen.map(([e, i]) => {
      const [a, b] = [this.X(Math.max(e.start, m.start), -1), this.X(Math.min(e.stop, m.stop) - 1, 1)]
      return svg('rect', {x: a, width: Math.max(2, b - a), y: 0, height: bottom, fill: e.none ? 'var(--base)' : 'var(--bad)', opacity: i === m.place ? 0.28 : 0.16})
    }))
    const parted = m.one.first > m.start ? m.one.first < m.stop ? this.X(m.one.first, -1) : edge : score.x[2]
    const line = (x1, x2, more) => svg('line', {x1, x2, y1: y, y2: y, stroke: 'var(--bad)', 'stroke-width': 1.2, ...more})
    this.over.replaceChildren(line(score.x[2], parted, {'stroke-dasharray': '1 3'}), line(parted, edge), svg('text', {x: edge, y: y < score.y[3] + 14 ? y + 13 : y - 4, 'text-anchor': 'end', class: 'threshold halo'}, `threshold ${short(m.threshold, 4)}`),
      ...[...seen].sort((p, q) => (q[1] === m.place) - (p[1] === m.place) || q[0].score - p[0].score).filter(([e]) => taken.every((x) => Math.abs(x - middle(e)) > 21) && taken.push(middle(e))).map(([e, i]) => svg('g', {class: e.none ? 'badge none' : 'badge', onclick: () => this.pick(i)},
        svg('circle', {cx: middle(e), cy: -14, r: 10}), svg('text', {x: middle(e), y: -10, 'text-anchor': 'middle'}, e.number), svg('title', {}, `event ${e.number}${e.none ? ', marked as none' : ''}`))))
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

export async function open(body, {id, query, ask, stream, remember}) {
  const view = {upload: query.get('upload') ?? '', name: '', alarms: Number(query.get('alarms')), which: Number(query.get('series') ?? 0), peak: query.has('event') ? Number(query.get('event')) : null, zoom: (query.get('rows') ?? '').split('-').map(Number)}
  if (view.zoom.length !== 2 || !view.zoom.every(Number.isInteger) || view.zoom[1] <= view.zoom[0]) view.zoom = null
  let found = null, at = 0, events = [], marks = [], working = null, closed = false, later = 0
  const source = el('div', {class: 'zone'}), told = el('div', {role: 'status'}), title = el('h2'), rate = el('div', {class: 'controls'}), list = el('div', {class: 'part'}), whole = el('div', {class: 'part'}), close = el('div', {class: 'part'}), read = el('details', {class: 'part'})
  const shown = el('div', {class: 'play-series', hidden: true}, title, rate, list, whole, close, read), main = new Panels({zoom, pan, pick: (i) => pick(here()[i])})
  const one = () => found.series[view.which], threshold = () => found.thresholds[at].threshold, here = () => events.filter((e) => e.which === view.which)
  const holds = (e) => e.which === view.which && e.start <= view.peak && view.peak < e.stop, current = () => events.find(holds), place = () => here().findIndex(holds), ends = () => view.zoom ?? [0, one().rows]
  const lasted = (n) => found.step_ms ? took(n * found.step_ms / 1000) : rows(n), stamp = (s, row) => new Date(s.times[row]).toISOString(), said = (s) => (row) => s.times ? stamp(s, row).slice(0, found.digits).replace('T', ' ') : `row ${row.toLocaleString('en')}`
  put(body, source, told, shown)
  source.addEventListener('dragover', (e) => { e.preventDefault(); e.stopPropagation() })
  source.addEventListener('drop', async (e) => {
    e.preventDefault()
    e.stopPropagation()
    document.body.classList.remove('drop')
    await hold(e.dataTransfer)
    bring()
  })

  // ---- which data -------------------------------------------------------------------------------------------------------

  async function bring() {
    const what = take()
    if (!what) return
    working?.abort()
    working = new AbortController()
    try {
      const sent = await send(what, (done, all) => put(told, el('p', {class: 'note'}, `sending ${percent(done / (all || 1))}`)), working.signal)
      view.name = sent.name
      start(sent.id)
    } catch (error) { if (error.name !== 'AbortError') put(told, bad(error.message)) }
  }

  function start(upload) {
    Object.assign(view, {upload, zoom: null, peak: null, which: 0})
    remember({upload, rows: '', event: '', series: ''})
    load()
  }

  async function load() {
    working?.abort()
    const mine = working = new AbortController(), began = performance.now(), field = el('input', {type: 'file', hidden: true, id: 'series-file', onchange: () => { chosen(field.files); bring() }})
    put(source, el('span', {}, view.upload ? ['Judged here: ', named(view.name || 'the file that was dropped')] : 'Judged here: the run’s own data. Drop a CSV to judge that.'), field, button('Choose a file', () => field.click()), view.upload ? button('The run’s own data', () => start('')) : null)
    shown.hidden = true
    put(told, el('p', {class: 'note'}, 'asking the run'))
    const onpart = (part) => {
      if (mine.signal.aborted) return
      if (part.judged) return judged(part.judged)
      if (part.differs) return put(told, differs(part.differs))
      const gone = (performance.now() - began) / 1000, more = gone > 1 ? `, ${took(gone)} gone${part.rows ? `, ${rows(Math.round(part.rows / gone))} a second` : ''}${part.done > 0.05 ? `, about ${took(gone / part.done - gone)} left` : ''}` : ''
      put(told, el('p', {class: 'note'}, `${part.doing}${part.of ? `: ${part.rows.toLocaleString('en')} of ${rows(part.of)}` : ''}${more} `, button('Stop', () => { mine.abort(); put(told, el('p', {class: 'note'}, 'Stopped; nothing was judged.')) }, {class: 'link'})))
    }
    try { await stream('series/judge', view.upload ? {upload: view.upload} : {}, onpart, mine.signal) } catch (error) {
      if (error.name !== 'AbortError' && !closed && mine === working) put(told, bad(error.message))
    }
  }

  function differs({why, trained, here: given}) {
    const both = (name) => trained.includes(name) && given.includes(name), all = [...new Set([...trained, ...given])].sort((a, b) => both(a) - both(b))
    return [bad(`× ${why}`), given.length ? el('div', {class: 'scroll'}, el('table', {}, el('caption', {}, 'Nothing was judged. Columns that differ stand first.'), head('The run learnt from', 'This file has'),
      el('tbody', {}, all.slice(0, 60).map((name) => el('tr', {}, [trained, given].map((names) => el('td', {class: names.includes(name) ? '' : 'bad'}, names.includes(name) ? named(name) : 'not there'))))))) : null]
  }

  function judged(answer) {
    found = answer
    view.name = answer.own ? '' : answer.name
    for (const s of found.series) Object.assign(s, {score: unpacked(s.score), shares: unpacked(s.shares), times: s.times && unpacked(s.times)})
    found.digits = !found.step_ms || found.step_ms % 60000 ? 19 : found.series.some((s) => s.times?.some((t) => t % 86400000)) ? 16 : 10
    view.which = Math.min(view.which, found.series.length - 1)
    at = found.thresholds.findIndex((t) => Math.round(t.rows) === view.alarms)
    if (at < 0) at = found.usual
    put(told)
    shown.hidden = false
    put(whole, el('h2'), main.node, el('p', {class: 'note'}))
    drawRead()
    find()
    const best = current() ?? [...events].sort((a, b) => b.score - a.score)[0]
    if (best) Object.assign(view, {peak: best.peak, which: best.which})
    drawRate()
    drawEvents()
    loadWhole()
    loadClose()
    say(`${count(events.length, 'event')} in ${found.name}`)
  }

  function drawRead() {
    const odd = found.reading.filter((c) => c.strange).length, range = ([a, b]) => `${short(a, 4)} to ${short(b, 4)}`
    put(read, el('summary', {}, `Read: ${rows(found.series.reduce((n, s) => n + s.rows, 0))}, ${count(found.channels.length, 'channel')}, one every ${found.step_words}`, odd ? el('span', {class: 'warn'}, ` △ ${count(odd, 'channel')} mostly outside what was learnt`) : null), found.problems.slice(0, 8).map((p) => el('p', {class: 'note'}, named(p, 400))),
      el('div', {class: 'scroll'}, el('table', {}, head('Channel', 'Learnt from', 'Here', 'Outside that', 'Missing'), el('tbody', {}, found.reading.slice(0, 60).map((c) => el('tr', {}, el('td', {}, named(c.name, 40)), el('td', {}, range(c.trained)), el('td', {}, range(c.here)),
        el('td', {class: c.strange ? 'warn' : ''}, `${written(c.outside, null, null, {form: 'share', decimals: 1})}${c.strange ? ': another unit?' : ''}`), el('td', {}, c.missing ? rows(c.missing) : 'none')))))))
    read.open = odd > 0
  }

  // ---- threshold and events ---------------------------------------------------------------------------------------------

  function drawRate() {
    const slide = el('input', {type: 'range', min: 0, max: found.thresholds.length - 1, value: at, id: 'alarms', class: 'long', oninput: () => { at = Number(slide.value); tell(); moved() }}), out = el('b'), note = el('p', {class: 'note'})
    const tell = () => {
      const t = found.thresholds[at]
      out.textContent = `one in ${lasted(t.rows)}`
      note.textContent = `The threshold is then ${short(t.threshold, 4)}: ${t.how}.`
      slide.setAttribute('aria-valuetext', out.textContent)
    }
    put(rate, el('label', {for: 'alarms'}, 'False alarms: more'), slide, 'fewer', out, found.series.length > 1 ? el('label', {}, 'Series', el('select', {id: 'which', onchange: (e) => show(Number(e.target.value))}, found.series.map((s, i) => el('option', {value: i, selected: i === view.which}, s.name || `series ${i + 1}`)))) : null, note)
    tell()
  }

  function moved() {
    redrawn()
    clearTimeout(later)
    later = setTimeout(() => {
      remember({alarms: at === found.usual ? '' : String(Math.round(found.thresholds[at].rows))})
      loadClose()
    }, 120)
  }

  function redrawn() {
    find()
    drawEvents()
    main.move({events: here(), place: place(), threshold: threshold()})
  }

  function find() {
    events = found.series.flatMap((s, which) => findEvents(s.score, threshold(), {first: s.first, merge: found.merge, gap: found.gap}).map((e) => ({...e, which, shift: s.shifts.some((f) => f.start < e.stop && f.row >= e.start)})))
    events.forEach((e, i) => Object.assign(e, {number: i + 1, none: marks.some((m) => m.fingerprint === found.fingerprint && m.series === found.series[e.which].name && m.start < e.stop && m.stop > e.start)}))
  }

  function drawEvents() {
    const none = events.filter((e) => e.none).length, most = events.length > ROWS ? new Set([...events].sort((a, b) => b.score - a.score).slice(0, ROWS)) : null, C = found.channels.length
    put(title, `${count(events.length, 'event')} in `, named(found.name), none ? el('span', {class: 'note'}, ` ${none} marked as none`) : null)
    const row = (e) => {
      const s = found.series[e.which], who = blame(s, C, e).slice(0, 2).filter((b, i) => !i || b[1] >= 0.05)
      return el('tr', {'aria-selected': String(holds(e)), class: e.none ? 'none' : '', onclick: (click) => { if (!click.target.closest('button')) pick(e) }}, el('td', {}, button(e.number, () => pick(e), {class: 'number', id: `event-${e.number}`, 'aria-label': `event ${e.number}`})),
        el('td', {}, found.series.length > 1 ? [named(s.name, 20), ' '] : null, said(s)(e.start)), el('td', {class: 'wide'}, lasted(e.stop - e.start)), el('td', {class: 'num'}, short(e.score), el('div', {class: 'note'}, `${short(e.score / threshold(), 2)} × threshold`)),
        el('td', {class: 'wide'}, who.map(([c, share]) => el('div', {class: 'blamed'}, named(found.channels[c], 22), el('span', {class: 'track'}, el('i', {style: {width: percent(share).replace('\u202f', '')}})), el('span', {class: 'note'}, percent(share))))),
        el('td', {}, e.shift ? el('span', {class: 'note'}, 'the level moved ') : null, button(e.none ? 'An event after all' : 'Not an event', () => mark(e), {class: 'link', id: `mark-${e.number}`})))
    }
    put(list, events.length ? el('table', {class: 'events'}, head('', `Start${found.zone ? ` (${found.zone})` : ''}`, 'Lasted', 'Peak score', 'Channels to blame', ''), el('tbody', {}, events.filter((e) => !most || most.has(e)).map(row)), el('caption', {}, most ? `The ${ROWS} highest of ${events.length}. ` : '', C > 1 ? 'Blame is the share of an event’s score that a channel adds. ' : '', 'Marks change no model; they are kept beside the runs',
      marks.length ? [' in ', el('a', {href: `/api/runs/${id}/labels.csv`, download: 'labels.csv'}, 'labels.csv')] : '', '. ', found.series.some((s) => s.shifts.length) ? `Shifts of the level were looked for at one false alarm in ${lasted(found.thresholds[found.usual].rows)}.` : '')) : el('p', {class: 'soft'}, `No judged row has a score above ${short(threshold(), 4)}.`))
  }

  async function mark(e) {
    const s = found.series[e.which], time = (row) => s.times ? stamp(s, row).slice(0, 19) : ''
    try {
      ({marks} = await post(`/api/runs/${id}/labels`, {data: found.name, fingerprint: found.fingerprint, series: s.name, start: e.start, stop: e.stop, first: time(e.start), last: time(e.stop - 1), none: !e.none}))
      say(`event ${e.number} ${e.none ? 'counts again' : 'is marked as none'}`)
    } catch (error) { put(told, bad(error.message)) }
    redrawn()
  }

  function pick(e) {
    if (!e) return
    view.peak = e.peak
    if (e.which !== view.which) return show(e.which)
    remember({event: String(e.peak)})
    const [a, b] = ends(), half = Math.round(Math.max(b - a, 2 * (e.stop - e.start)) / 2)
    drawEvents()
    if (e.start < a || e.stop > b) zoom([e.peak - half, e.peak + half])
    else main.move({place: place()})
    loadClose()
    say(`event ${e.number}`)
  }

  function show(which) {
    Object.assign(view, {which, zoom: null})
    view.peak = (current() ?? [...here()].sort((p, q) => q.score - p.score)[0])?.peak ?? null
    remember({series: which ? String(which) : '', rows: '', event: view.peak === null ? '' : String(view.peak)})
    drawRate()
    drawEvents()
    loadWhole()
    loadClose()
  }

  const step = (by) => { const i = events.indexOf(current()); pick(events[i < 0 ? 0 : Math.max(0, Math.min(events.length - 1, i + by))]) }

  // ---- curves -----------------------------------------------------------------------------------------------------------

  function zoom(asked) {
    const all = one().rows, size = asked ? Math.max(8, asked[1] - asked[0]) : all, from = asked ? Math.max(0, Math.min(all - size, asked[0])) : 0
    view.zoom = size >= all ? null : [from, from + size]
    remember({rows: view.zoom?.join('-') ?? ''})
    loadWhole()
  }
  function pan(by) {
    const [a, b] = ends()
    zoom([a + by, b + by])
  }

  async function asked(name, given, latest) {
    try {
      const answer = await ask(`series/${name}`, {key: found.key, series: view.which, ...given}, {latest})
      return closed || answer?.dropped ? null : answer
    } catch (error) {
      if (/no longer held/.test(error.message)) load()
      else if (error.name !== 'AbortError') put(told, bad(error.message))
      return null
    }
  }

  async function loadWhole() {
    main.drawnAt = main.width
    const [a, b] = ends(), C = found.channels.length, sums = new Array(C).fill(0), which = view.which, mine = found
    for (const e of here()) for (const [c, share] of blame(one(), C, e)) sums[c] += share * e.score
    const drawn = sums.map((_, c) => c).sort((p, q) => sums[q] - sums[p]).slice(0, PANELS).sort((p, q) => p - q), w = await asked('window', {start: a, stop: b, width: main.width, channels: drawn}, 'series-whole')
    if (!w || which !== view.which || mine !== found) return
    for (const name of ['low', 'high', 'expected', 'below', 'above']) w[name] = unpacked(w[name])
    main.set({...w, one: one(), said: said(one()), names: drawn.map((c) => found.channels[c]), half: found.step_ms ? found.step_ms / 2000 : 0.5, events: here(), place: place(), threshold: threshold()})
    const text = `From ${said(one())(w.start)} to ${said(one())(w.stop - 1)}`
    main.box.setAttribute('aria-label', `${text}: ${count(here().filter((e) => e.stop > w.start && e.start < w.stop).length, 'event')}, threshold ${short(threshold(), 4)}`)
    put(whole.firstChild, text, el('span', {class: 'note'}, view.zoom ? [button('Whole', () => zoom(null), {class: 'link'}), kbd('0')] : 'drag zooms'))
    put(whole.lastChild, `Line: what was measured${w.every > 1 ? `, of each column of ${w.every} rows the lowest and the highest` : ''}; band: two standard deviations about what was expected one row before. Numbered columns: events. ${C > PANELS ? `The ${PANELS} channels most to blame of ${C}. ` : ''}${found.step_ms ? '' : 'The data have no times; rows are counted from 0.'}`)
  }

  async function loadClose() {
    const mine = found, e = current(), near = e && await asked('close', {start: e.start, stop: e.stop, number: e.number, threshold: threshold()}, 'series-close')
    if (!e) put(close)
    if (near && mine === found && holds(e)) put(close, el('h2', {}, `Event ${e.number}`, el('span', {class: 'note'}, kbd('j'), kbd('k'), ' the next, the one before')), el('figure', {class: 'drawn chart'}, grown(close.clientWidth < 700 ? near.narrow : near.wide)), el('p', {class: 'note'}, `${near.said} Line: what was measured; line inside the band: what was expected.`))
  }

  const size = new ResizeObserver(() => { if (found && !shown.hidden && main.drawnAt !== main.width) loadWhole() })
  marks = await get(`/api/runs/${id}/labels`).then((answer) => answer.marks, () => [])
  load()
  size.observe(whole)
  return {
    keys: {j: () => found && step(1), k: () => found && step(-1), 0: () => found && zoom(null)},
    close: () => {
      closed = true
      working?.abort()
      clearTimeout(later)
      size.disconnect()
    },
  }
}
