// The code map: every item of the data as a point where its code lies. What is pointed at is found by looking at all of
// them. Of views that follow each other too slowly a part is drawn until rest.

import {el, svg, put, named, button, kbd, link, say} from './dom.js'
import {written, count, took} from './numbers.js'
import {unpacked} from './play-drawn.js'
import {sheet, pair, facts, bars, neighbours, share} from './play-items.js'
import {caption as captioned, POSITIONS} from './play-map-words.js'
import {points, PLAIN} from './play-points.js'
import {edges, inBox, inPolygon, fields as boxFields} from './play-choose.js'

const SLOW_MS = 33, NEAR = 12, FIT = 120, PAD = 24, NONE = 255, ASK_MS = 500, PITCH = 1.57

export async function open(body, {id, query, about, ask, stream, remember}) {
  const numbers = (name, n, usual) => { const v = (query.get(name) ?? '').split(',').map(Number); return v.length === n && v.every(Number.isFinite) && query.get(name) ? v : usual }
  const natural = (name) => /^\d+$/.test(query.get(name) ?? '') ? Number(query.get(name)) : null
  const view = {
    deep: query.get('dims') === '3', position: Object.hasOwn(POSITIONS, query.get('pos')) ? query.get('pos') : '', by: query.get('by') ?? '', clusters: Math.max(2, Math.min(100, natural('k') ?? 10)), at: numbers('view', 3, null), turn: numbers('turn', 2, [0.5, -0.4]), only: natural('only'),
    off: new Set((query.get('off') ?? '').split(',').filter(Boolean).map(Number)), pin: natural('item'), small: query.get('small') !== 'off', from: natural('from'), to: natural('to'),
  }
  let lasso = (query.get('lasso') ?? '').split(';').map((p) => p.split(',').map(Number)).filter((p) => p.length === 2 && p.every(Number.isFinite)), block = numbers('box', 6, null)
  let map = null, end = null, n = 0, hover = -1, pinned = null, walk = [], colour = null, inside = [], closed = false, asked = 0, frame = 0, last = 0, budget = Infinity, moving = false, rest = 0, fps = 0, width = 0, height = 0, flew = 0, waits = 0
  const told = el('p', {class: 'note', role: 'status'}, 'reading the data and encoding every item'), working = el('p', {class: 'note', hidden: true}), find = el('input', {class: 'find', type: 'search', id: 'find-item', placeholder: 'item, #item or label', 'aria-label': 'find an item'}), bar = el('div', {class: 'controls'})
  const dots = points(() => { if (map) { drawCaption(); draw() } })
  const pictures = el('canvas', {class: 'points'}), over = svg('svg', {class: 'points', tabindex: 0, role: 'img', 'aria-label': 'map of codes'}), tip = el('div', {class: 'read', hidden: true}), box = el('div', {class: 'map'}, dots.canvas, pictures, over, tip)
  const legend = el('div', {class: 'legend'}), caption = el('p', {class: 'note'}), side = el('div', {class: 'map-side'}), chosen = el('section', {class: 'part'}), held = el('section', {class: 'part'})
  put(side, held, chosen)
  put(body, bar, told, working, el('div', {class: 'live'}, el('div', {}, box, legend, caption), side))
  put(held, el('p', {class: 'soft'}, 'Point at an item to read it; a click holds it here.'))
  let P, position, C, part, label, item, index = new Map()
  const looks = new Map()

  // ---- what is fetched ------------------------------------------------------------------------------------------------

  async function load() {
    const mine = ++asked
    map = end = null
    n = 0
    try {
      await stream('codes/map', {dimensions: view.deep ? 3 : 2, position: view.position || 'auto'}, (p) => {
        if (mine !== asked || closed) return
        if (p.start) begin(p.start)
        else if (p.points) add(p.points)
        else end = p.end
      })
    } catch (error) {
      if (error.name !== 'AbortError') put(told, el('span', {class: 'said-bad'}, error.message))
      return
    }
    if (mine !== asked || closed) return
    told.hidden = true
    await paint()
    drawLegend()
    if (view.pin !== null) pin(view.pin)
    if (lasso.length || block) enclose()
    drawCaption()
    if (view.position === 'tsne' && map.method !== 'tsne' && map.methods.includes('tsne')) embed(mine)
  }

  // t-SNE takes a while: until it is there the map is that of PCA.
  async function embed(mine) {
    const given = {dimensions: view.deep ? 3 : 2}, on = () => !closed && mine === asked
    const gaveUp = () => { ask('codes/embed', {...given, stop: true}).catch(() => {}); place('') }
    say('t-SNE has begun')
    try {
      for (;;) {
        const found = await ask('codes/embed', given)
        if (!on()) return
        if (found.state === 'done') break
        working.hidden = false
        put(working, `t-SNE of ${count(found.n, 'code')}: step ${found.step} of ${written(found.of, null, null, {form: 'count'})}, ${took(Math.round(found.seconds))}; meanwhile the map is that of PCA. `, button('give it up', gaveUp, {class: 'link', id: 'give-up'}))
        await new Promise((done) => { waits = setTimeout(done, ASK_MS) })
        if (!on()) return
      }
      working.hidden = true
      say('t-SNE is there')
      view.at = null
      load()
    } catch (error) {
      if (error.name !== 'AbortError' && on()) { working.hidden = false; put(working, el('span', {class: 'said-bad'}, `${error.message}. `), button('t-SNE again', () => embed(mine), {class: 'link'})) }
    }
  }
  function place(position) {
    view.position = position
    again()
  }
  // Another kind of map: what was chosen by its places is gone.
  function again() {
    view.at = null
    lasso = []
    block = null
    inside = []
    working.hidden = true
    remember({pos: view.position, dims: view.deep ? '3' : '', view: '', lasso: '', box: ''})
    if (map) drawBar()
    drawChosen()
    load()
  }

  function begin(start) {
    map = start
    P = new Float32Array(3 * map.n)
    C = new Uint8Array(4 * map.n).fill(160)
    part = new Uint8Array(map.n)
    label = map.colours.includes('label') ? new Uint8Array(map.n) : null
    item = new Uint32Array(map.n)
    index = new Map()
    if (!map.colours.includes(view.by) && !(map.columns && view.by)) view.by = map.colours[0]
    drawBar()
  }

  function add(p) {
    const at = unpacked(p.positions), d = map.dimensions, m = at.length / d, numbers = unpacked(p.item)
    if (!n) {
      const half = Math.max(...p.low.map((v, k) => (p.high[k] - v) / 2))
      map.middle = p.low.map((v, k) => (v + p.high[k]) / 2)
      map.units = p.low.map((v, k) => d === 2 && map.width === 1 && k ? 2 * (p.high[k] - v) : half)
    }
    for (let i = 0; i < m; i++) {
      for (let k = 0; k < d; k++) P[3 * (n + i) + k] = (p.low[k] + at[i * d + k] / 65535 * (p.high[k] - p.low[k]) - map.middle[k]) / map.units[k]
      index.set(numbers[i], n + i)
    }
    item.set(numbers, n)
    part.set(unpacked(p.part), n)
    if (p.label) label.set(unpacked(p.label), n)
    n += m
    told.textContent = `${written(n, null, null, {form: 'count'})} of ${written(map.n, null, null, {form: 'count'})} items`
    tint()
    upload()
    drawLegend()
    draw()
  }

  // ---- colours --------------------------------------------------------------------------------------------------------

  const css = (name) => { const t = getComputedStyle(document.documentElement).getPropertyValue(name).trim(); return [1, 3, 5].map((i) => parseInt(t.slice(i, i + 2), 16)) }
  const fits = () => view.by !== 'cluster' || colour.names.length === view.clusters
  const groups = () => view.by === 'split' ? {of: part, names: map.parts} : view.by === 'label' ? {of: label, names: map.classes} : colour?.names && colour.by === view.by && fits() ? {of: colour.values, names: colour.names} : null
  async function paint() {
    if (view.by !== 'label' && view.by !== 'split' && (colour?.by !== view.by || !fits())) {
      const by = view.by
      told.hidden = false
      told.textContent = by === 'error' ? `decoding ${count(map.n, 'item')} for their errors` : by === 'cluster' ? 'fitting k-means to the codes' : `reading ${by}`
      try {
        const found = await ask('codes/colour', {by, ...(by === 'cluster' ? {clusters: view.clusters} : {})}, {latest: 'colour'})
        if (found.dropped || closed || by !== view.by) return
        colour = {...found, by, values: unpacked(found.values)}
        told.hidden = true
      } catch (error) { if (error.name !== 'AbortError') put(told, el('span', {class: 'said-bad'}, error.message)) }
    }
    tint()
    upload()
    drawLegend()
    draw()
  }
  function tint() {
    if (view.only !== null && n === map.n && groups()) { view.off = others(view.only); view.only = null }
    const g = groups(), ten = Array.from({length: 10}, (_, k) => css(`--c${k + 1}`)), grey = css('--base'), stops = Array.from({length: 7}, (_, k) => css(`--seq${k + 3}`)), level = !g && colour?.by === view.by ? colour.values : null
    for (let i = 0; i < n; i++) {
      const k = g ? g.of[i] : 0, at = level ? level[i] / 255 * 6 : 0, low = Math.min(5, Math.floor(at))
      const rgb = level ? stops[low].map((v, j) => v + (stops[low + 1][j] - v) * (at - low)) : g && k !== NONE ? ten[k % 10] : grey
      C.set(rgb, 4 * i)
      C[4 * i + 3] = g && view.off.has(k) ? 12 : 190
    }
  }

  // ---- drawing --------------------------------------------------------------------------------------------------------

  const turned = () => {
    if (!view.deep || !map || map.dimensions < 3) return [1, 0, 0, 0, 1, 0, 0, 0, 1]
    const [a, b] = view.turn, [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)]
    return [ca, sa * sb, sa * cb, 0, cb, -sb, -sa, ca * sb, ca * cb]
  }
  const whole = () => [0, 0, (Math.min(width, height) / 2 - PAD)]
  // Pixels of a point: middle + scale * (turned position), y upwards.
  const placed = (x, y, z, t, [cx, cy, k]) => [width / 2 + k * (t[0] * x + t[3] * y + t[6] * z - cx), height / 2 - k * (t[1] * x + t[4] * y + t[7] * z - cy)]
  const spot = (i, t = turned(), v = seen()) => placed(P[3 * i], P[3 * i + 1], P[3 * i + 2], t, v)
  const seen = () => view.at ?? whole()
  const upload = () => dots.upload(P, C)
  function draw() {
    frame ||= requestAnimationFrame((now) => {
      frame = 0
      if (moving && last && now - last < 2000) {
        const ms = now - last
        fps = fps ? fps * 0.8 + 0.2 * 1000 / ms : 1000 / ms
        if (ms > SLOW_MS * 1.15 && !dots.plain) budget = Math.max(PLAIN, Math.min(budget, n) * Math.max(0.25, SLOW_MS / ms))
      }
      last = moving ? now : 0
      if (map && n) render()
    })
  }
  function render() {
    const ratio = Math.min(2, devicePixelRatio || 1), v = seen(), t = turned(), shown = dots.plain ? Math.min(PLAIN, n) : moving ? Math.min(n, Math.round(budget)) : n, size = Math.max(1.4, Math.min(7, Math.sqrt(width * height / map.n) * 0.45 * Math.min(3, Math.sqrt(v[2] / whole()[2]))))
    if (dots.canvas.width !== Math.round(width * ratio) || dots.canvas.height !== Math.round(height * ratio)) for (const c of [dots.canvas, pictures]) [c.width, c.height] = [Math.round(width * ratio), Math.round(height * ratio)]
    dots.draw(shown, {width, height, ratio, size, turn: t, view: v, colours: C, spot})
    if (!pictures.hidden) pictures.hidden = true
    drawOver()
    clearTimeout(rest)
    rest = setTimeout(settle, 140)
  }
  function settle() {
    if (hands.size) rest = setTimeout(settle, 140)
    else if (moving) {
      moving = false
      const [x, y, k] = seen()
      remember({view: view.at ? [x, y, k].map((v) => Number(v.toPrecision(5))).join(',') : '', turn: view.deep ? view.turn.map((v) => v.toFixed(2)).join(',') : ''})
      drawCaption()
      draw()
    } else drawLooks()
  }
  function move(to) {
    moving = true
    view.at = to
    draw()
  }

  // Pictures in place of points, where so few are seen that they fit.
  async function drawLooks() {
    if (!view.small || map?.kind !== 'images' || closed) return
    const t = turned(), v = seen(), g = groups(), here = []
    for (let i = 0; i < n && here.length <= FIT; i++) {
      if (g && view.off.has(g.of[i])) continue
      const [x, y] = spot(i, t, v)
      if (x > 0 && x < width && y > 0 && y < height) here.push(i)
    }
    if (!here.length || here.length > FIT) return
    const missing = here.map((i) => item[i]).filter((k) => !looks.has(k))
    if (missing.length) {
      const found = await ask('codes/look', {items: missing}, {latest: 'look'}).catch(() => ({dropped: true}))
      if (found.dropped || closed) return
      const all = sheet(found.pictures, {columns: missing.length, factor: 1}), w = all.width / missing.length
      missing.forEach((k, j) => looks.set(k, [all, j * w, w, all.height]))
    }
    if (moving) return
    const ink = pictures.getContext('2d'), ratio = pictures.width / width, [, , w, h] = looks.get(item[here[0]]), times = Math.max(1, Math.floor(Math.sqrt(width * height / FIT) * 0.7 / Math.max(w, h)))
    ink.clearRect(0, 0, pictures.width, pictures.height)
    ink.imageSmoothingEnabled = false
    pictures.hidden = false
    for (const i of here) {
      const [x, y] = spot(i, t, v), [all, from] = looks.get(item[i])
      ink.drawImage(all, from, 0, w, h, (x - w * times / 2) * ratio, (y - h * times / 2) * ratio, w * times * ratio, h * times * ratio)
      ink.strokeStyle = `rgb(${C[4 * i]},${C[4 * i + 1]},${C[4 * i + 2]})`
      ink.strokeRect((x - w * times / 2) * ratio, (y - h * times / 2) * ratio, w * times * ratio, h * times * ratio)
    }
    drawOver()
  }

  function drawOver() {
    const t = turned(), v = seen(), g = groups(), parts = [], ring = (i, r, more = {}) => { const [x, y] = spot(i, t, v); parts.push(svg('circle', {cx: x, cy: y, r, fill: pictures.hidden ? `rgb(${C[4 * i]},${C[4 * i + 1]},${C[4 * i + 2]})` : 'none', stroke: 'var(--ink)', 'stroke-width': 1.6, ...more})) }
    if (lasso.length > 2) parts.push(svg('path', {d: `M${lasso.map((p) => placed(p[0], p[1], 0, view.deep ? [1, 0, 0, 0, 1, 0, 0, 0, 1] : t, v).map((q) => q.toFixed(1)).join(' ')).join('L')}Z`, fill: 'var(--ink)', 'fill-opacity': 0.06, stroke: 'var(--ink)', 'stroke-dasharray': '5 3'}))
    if (block) parts.push(svg('path', {d: edges(block).map(([a, b]) => `M${placed(...a, t, v).map((q) => q.toFixed(1))}L${placed(...b, t, v).map((q) => q.toFixed(1))}`).join(''), fill: 'none', stroke: 'var(--ink)', 'stroke-dasharray': '5 3'}))
    if (g && g.names.length <= 40) for (const [k, m] of medians(g).entries()) if (m && !view.off.has(k)) {
      const [x, y] = placed(...m, t, v), text = String(g.names[k]).slice(0, 14), r = text.length < 3 ? 12 : 4 + text.length * 3.6
      if (x > 0 && x < width && y > 0 && y < height) parts.push(svg('rect', {x: x - r, y: y - 12, width: 2 * r, height: 24, rx: 12, fill: 'var(--paper)', stroke: `var(--c${k % 10 + 1})`, 'stroke-width': 2}), svg('text', {x, y: y + 4, 'text-anchor': 'middle', class: 'name'}, text))
    }
    for (const one of pinned?.near ?? []) if (index.has(one.item)) ring(index.get(one.item), 4, {'stroke-width': 1})
    if (pinned && index.has(pinned.item)) ring(index.get(pinned.item), 7, {'stroke-width': 2.4})
    for (const [at, text] of [[view.from, 'A'], [view.to, 'B']]) if (at !== null && index.has(at)) {
      const [x, y] = spot(index.get(at), t, v)
      parts.push(svg('g', {class: 'end-of'}, svg('circle', {cx: x, cy: y, r: 9}), svg('text', {x, y: y + 4, 'text-anchor': 'middle'}, text)))
    }
    if (hover >= 0) ring(hover, 5)
    put(over, parts)
  }
  function medians(g) {
    if (map.medians?.of === g.of && map.medians.n === n) return map.medians.list
    const lists = g.names.map(() => [[], [], []])
    for (let i = 0; i < Math.min(n, 30000); i++) if (lists[g.of[i]]) for (let d = 0; d < 3; d++) lists[g.of[i]][d].push(P[3 * i + d])
    const list = lists.map((l) => l[0].length ? l.map((values) => values.sort((a, b) => a - b)[values.length >> 1]) : null)
    map.medians = {of: g.of, n, list}
    return list
  }

  // ---- words around it ------------------------------------------------------------------------------------------------

  function set(change) {
    change()
    const g = groups(), on = g ? shownOf(g) : []
    remember({dims: view.deep ? '3' : '', by: view.by === map.colours[0] ? '' : view.by, k: view.clusters === 10 ? '' : String(view.clusters), only: view.only !== null ? String(view.only) : on.length === 1 && view.off.size ? String(on[0]) : '', off: on.length === 1 ? '' : [...view.off].join(','), small: view.small ? '' : 'off'})
  }
  function recolour(by) {
    set(() => { view.by = by; view.off.clear(); view.only = null })
    drawBar()
    paint().then(drawCaption)
  }
  function drawBar() {
    if (bar.contains(document.activeElement) && document.activeElement.matches('input, select')) return
    const listed = map.colours.includes(view.by) ? map.colours : [...map.colours, view.by], names = el('datalist', {id: 'columns'})
    const like = async (e) => { const found = await ask('codes/columns', {like: e.target.value}, {latest: 'columns'}).catch(() => ({dropped: true})); if (!found.dropped) put(names, found.names.map((name) => el('option', {value: name}))) }
    put(bar, el('span', {class: 'seg', role: 'group', 'aria-label': 'dimensions'}, [['2-D', false], ['3-D, turn', true]].map(([text, deep]) => button(text, () => { view.deep = deep; again() }, {'aria-pressed': String(view.deep === deep), disabled: deep && map.width < 3}))),
      map.methods.length > 1 ? el('label', {}, 'positions ', el('select', {id: 'pos', onchange: (e) => { e.target.blur(); place(e.target.value) }}, map.methods.map((m) => el('option', {value: m, selected: m === (view.position || map.method)}, POSITIONS[m](map))))) : null,
      el('label', {}, 'colour ', el('select', {id: 'by', onchange: (e) => { e.target.blur(); recolour(e.target.value) }}, listed.map((c) => el('option', {selected: c === view.by}, c)))),
      map.columns ? el('label', {}, el('input', {type: 'text', id: 'column', list: 'columns', placeholder: `one of ${count(map.columns, 'column')}`, 'aria-label': 'colour by a column of this name', onfocus: like, oninput: like, onchange: (e) => { if (!e.target.value) return; e.target.blur(); recolour(e.target.value) }}), names) : null,
      view.by === 'cluster' ? el('label', {}, 'clusters ', el('input', {type: 'number', id: 'clusters', min: 2, max: 100, step: 1, value: view.clusters, onchange: (e) => { const k = Number(e.target.value); if (!Number.isInteger(k) || k < 2 || k > 100) return; view.clusters = k; e.target.blur(); recolour('cluster') }})) : null, el('label', {}, 'find ', find, kbd('F')),
      map.kind === 'images' ? el('label', {}, el('input', {type: 'checkbox', id: 'small', checked: view.small, onchange: (e) => { set(() => { view.small = e.target.checked }); draw() }}), ' pictures when near') : null, button('whole map', () => { view.at = null; moving = true; draw() }, {}, kbd('0')), button('choose by position', fields, {id: 'choose'}, kbd('B')), el('span', {class: 'note end'}, `drag: ${view.deep ? 'turn' : 'move'} · wheel: zoom · shift-drag: lasso`))
  }
  // Classes that are not dimmed, of those that have an item.
  const shownOf = (g) => [...new Set(g.of.subarray(0, n))].filter((k) => !view.off.has(k))
  const others = (k) => new Set([...new Set(groups().of.subarray(0, n))].filter((j) => j !== k))
  // A press dims the other classes, a second one none; with shift it dims or shows this one.
  function dim(k, alone) {
    const on = shownOf(groups())
    set(() => {
      if (!alone) view.off.has(k) ? view.off.delete(k) : view.off.add(k)
      else view.off = on.length === 1 && on[0] === k ? new Set() : others(k)
    })
    tint()
    upload()
    drawLegend()
    draw()
  }
  function drawLegend() {
    const g = groups()
    if (!map) return
    if (!g) return put(legend, colour?.by === view.by ? el('span', {class: 'note'}, `${colour.unit}: `, written(Number(colour.low.toPrecision(3))), el('i', {class: 'ramp', style: {background: `linear-gradient(90deg,${[3, 4, 5, 6, 7, 8, 9].map((k) => `var(--seq${k})`).join()})`}}), written(Number(colour.high.toPrecision(3))), ' (linear; the lowest and highest 1 % have the colours of the ends)') : null)
    const counts = g.names.map(() => 0)
    for (let i = 0; i < n; i++) if (g.of[i] !== NONE) counts[g.of[i]]++
    put(legend, g.names.map((name, k) => counts[k] ? button('', (e) => dim(k, !e.shiftKey), {id: `class-${k}`, class: 'link', 'aria-pressed': String(!view.off.has(k)), title: 'dims the others; again: none; with shift: this one'}, el('i', {style: {background: `var(--c${k % 10 + 1})`}}), named(name, 20), el('span', {class: 'note'}, written(counts[k], null, null, {form: 'count'}))) : null), g.names.length > 10 ? el('span', {class: 'note'}, 'colours repeat after ten; names stand at the medians') : null)
  }
  function drawCaption() {
    if (!map) return
    caption.textContent = captioned(map, {end, plain: dots.plain, fps, budget, n, clusters: view.by === 'cluster' && groups() ? colour : null})
    over.setAttribute('aria-label', `${caption.textContent} Arrow keys move, + and − zoom, square brackets walk among neighbours.`)
  }

  // ---- one item -------------------------------------------------------------------------------------------------------

  async function pin(number, keep = false) {
    view.pin = number
    remember({item: String(number)})
    let found
    try { found = await ask('codes/item', {item: number}, {latest: 'item'}) } catch (error) {
      if (error.name !== 'AbortError') put(held, el('p', {class: 'said-bad'}, error.message))
      return
    }
    if (found.dropped || closed || found.item !== view.pin) return
    pinned = found
    if (!keep) walk = [number, ...found.near.map((o) => o.item)]
    const name = found.label === null ? '' : `label ${map.classes[found.label] ?? found.label}, `
    put(held, el('h2', {}, `Item ${written(number, null, null, {form: 'count'})}`, el('span', {class: 'note'}, name, found.part), el('span', {class: 'end'}, button('[', () => step(-1), {class: 'link', 'aria-label': 'previous neighbour'}), button(']', () => step(1), {class: 'link', 'aria-label': 'next neighbour'}), el('span', {class: 'note'}, ' neighbours'))), pair(found, 'item'),
      facts([found.place && ['Squared error a value', written(Number(found.error.toPrecision(3)))], found.place && ['that is', share(found.place)], found.rate !== null && ['Rate, its own code length', `${written(Number(found.rate.toPrecision(3)))} nats`]]), ends(number), el('h2', {}, 'Code'), bars(found.code, found.sd), el('h2', {}, `${found.near.length} nearest in code space`), neighbours(found, map.classes, (k) => pin(k)))
    say(`item ${number}, ${name}${found.part}`)
    draw()
  }
  // An item as an end of the page Interpolate.
  function ends(number) {
    if (!about.kinds.includes('interpolate')) return null
    const line = el('p', {class: 'note ends'}), mark = (name) => () => {
      view[name] = number
      remember({[name]: String(number)})
      show()
      draw()
    }
    const show = () => put(line, 'Interpolate ', button('from here', mark('from'), {class: 'link', id: 'from-here'}), ' · ', button('to here', mark('to'), {class: 'link', id: 'to-here'}), view.from === null && view.to === null ? null : [' · ', view.from !== null && view.to !== null ? link(`/runs/${id}/play?what=interpolate&a=${view.from}&b=${view.to}`, {id: 'between'}, `from item ${view.from} to item ${view.to}`) : view.from !== null ? `from item ${view.from}; the other end is not chosen` : `to item ${view.to}; the other end is not chosen`])
    show()
    return line
  }
  const step = (by) => { if (walk.length) pin(walk[(walk.indexOf(view.pin) + by + walk.length) % walk.length], true) }
  // A label comes before an item of the same number; #7 is item 7.
  function seek(text) {
    const bare = text.replace(/^#/, ''), digits = /^\d[\d,]*$/.test(bare) ? Number(bare.replaceAll(',', '')) : NaN, k = bare === text && label ? map.classes.indexOf(text) : -1
    if (k >= 0) {
      const of = [...label.keys()].filter((i) => i < n && label[i] === k)
      if (of.length) pin(item[of[flew++ % of.length]])
      told.hidden = !index.has(digits)
      if (index.has(digits)) told.textContent = `${text} is a label; #${text} finds item ${text}`
    } else if (index.has(digits)) pin(digits)
    else put(held, el('p', {class: 'said-warn'}, `There is no item or label ${text} on this map.`))
  }
  find.addEventListener('keydown', (e) => { if (e.key === 'Enter' && find.value.trim() && map) seek(find.value.trim()) })

  // ---- the lasso ------------------------------------------------------------------------------------------------------

  function enclose() {
    inside = block ? inBox(P, n, block) : inPolygon(P, n, lasso, turned())
    remember({lasso: view.deep || block ? '' : lasso.map((p) => p.map((q) => q.toFixed(3)).join(',')).join(';'), box: block ? block.map((q) => q.toFixed(3)).join(',') : ''})
    drawChosen()
    draw()
  }
  function drawChosen() {
    if (!lasso.length && !block) return put(chosen)
    const g = groups(), counts = g ? g.names.map((name, k) => [name, k, inside.filter((i) => g.of[i] === k).length]).filter((c) => c[2]).sort((a, b) => b[2] - a[2]).slice(0, 8) : []
    const file = new Blob([`item\n${inside.map((i) => item[i]).join('\n')}\n`], {type: 'text/csv'})
    put(chosen, el('h2', {}, `${block ? 'Box' : 'Lasso'}, ${count(inside.length, 'item')}`, el('span', {class: 'end'}, el('a', {href: URL.createObjectURL(file), download: 'items.csv'}, 'numbers as CSV'), ' ', button('let go', () => { lasso = []; block = null; inside = []; remember({lasso: '', box: ''}); drawChosen(); draw() }, {class: 'link'}))),
      counts.map(([name, k, c]) => el('div', {class: 'share'}, named(name, 16), el('span', {}, el('i', {style: {width: `${100 * c / inside.length}%`, background: `var(--c${k % 10 + 1})`}})), el('span', {class: 'num'}, written(c / inside.length, null, null, {form: 'share', decimals: 0})))))
  }
  // The same without dragging: a box of positions, in 3-D of three.
  function fields() {
    const v = seen(), deep = view.deep && map.dimensions > 2, half = deep ? [0.5, 0.5, 0.5] : [width / 4 / v[2], height / 4 / v[2]], middle = deep ? [0, 0, 0] : v
    boxFields(chosen, half.map((h, k) => [middle[k] - h, middle[k] + h].map((q) => map.middle[k] + map.units[k] * q)), (given) => {
      const at = given.map((range, k) => range.map((q) => (q - map.middle[k]) / map.units[k])), [[a, b], [c, d]] = at
      block = deep ? at.flat() : null
      lasso = deep ? [] : [[a, c], [b, c], [b, d], [a, d]]
      enclose()
    })
  }

  // ---- hands ----------------------------------------------------------------------------------------------------------

  const local = (e) => { const b = over.getBoundingClientRect(); return [e.clientX - b.left, e.clientY - b.top] }
  const ground = ([x, y], [cx, cy, k] = seen()) => [(x - width / 2) / k + cx, (height / 2 - y) / k + cy]
  function nearest([x, y]) {
    const t = turned(), v = seen(), most = dots.plain ? Math.min(n, PLAIN) : n, g = groups()
    let best = NEAR * NEAR, at = -1
    for (let i = 0; i < most; i++) {
      const a = width / 2 + v[2] * (t[0] * P[3 * i] + t[3] * P[3 * i + 1] + t[6] * P[3 * i + 2] - v[0]) - x, b = height / 2 - v[2] * (t[1] * P[3 * i] + t[4] * P[3 * i + 1] + t[7] * P[3 * i + 2] - v[1]) - y, d = a * a + b * b
      if (d < best && !(g && view.off.has(g.of[i]))) [best, at] = [d, i]
    }
    return at
  }
  const zoom = (by, [x, y] = [width / 2, height / 2]) => {
    const v = seen(), before = ground([x, y], v), k = Math.max(whole()[2] / 4, Math.min(whole()[2] * 4000, v[2] * by)), after = ground([x, y], [v[0], v[1], k])
    move([v[0] + before[0] - after[0], v[1] + before[1] - after[1], k])
  }
  const hands = new Map()
  let from = null, line = null
  over.addEventListener('pointerdown', (e) => {
    if (e.button || !map) return
    over.setPointerCapture(e.pointerId)
    hands.set(e.pointerId, local(e))
    from = local(e)
    line = e.shiftKey ? [ground(from)] : null
  })
  over.addEventListener('pointermove', (e) => {
    if (!map) return
    const to = local(e), was = hands.get(e.pointerId)
    if (!was) {
      const at = nearest(to)
      if (at !== hover) { hover = at; draw() }
      return showTip(to)
    }
    tip.hidden = true
    hands.set(e.pointerId, to)
    if (hands.size === 2) {
      const other = [...hands].find(([k]) => k !== e.pointerId)[1], far = (p) => Math.hypot(p[0] - other[0], p[1] - other[1])
      from = null
      zoom(far(to) / Math.max(1, far(was)), [(to[0] + other[0]) / 2, (to[1] + other[1]) / 2])
    } else if (line) {
      line.push(ground(to))
      lasso = line
      block = null
      draw()
    } else if (view.deep) {
      turn((to[0] - was[0]) / 150, (to[1] - was[1]) / 150)
    } else {
      const v = seen()
      move([v[0] - (to[0] - was[0]) / v[2], v[1] + (to[1] - was[1]) / v[2], v[2]])
    }
  })
  // A lasso lies in the plane of the page, so that it ends where that turns.
  function turn(across, up) {
    view.turn = [view.turn[0] + across, Math.max(-PITCH, Math.min(PITCH, view.turn[1] + up))]
    moving = true
    if (lasso.length) { lasso = []; inside = []; drawChosen() }
    draw()
  }
  const lift = (e) => {
    hands.delete(e.pointerId)
    const to = local(e), still = from && !(line?.length > 3) && Math.hypot(to[0] - from[0], to[1] - from[1]) < 5
    from = null
    if (line && !still) {
      const each = Math.max(1, Math.ceil(line.length / 40))
      lasso = line.filter((_, i) => i % each === 0)
      enclose()
    } else if (still && e.type === 'pointerup') {
      const at = nearest(to)
      if (at >= 0) pin(item[at])
    }
    line = null
  }
  over.addEventListener('pointerup', lift)
  over.addEventListener('pointercancel', lift)
  over.addEventListener('pointerleave', () => { hover = -1; tip.hidden = true; if (map) draw() })
  over.addEventListener('wheel', (e) => { e.preventDefault(); if (map) zoom(Math.exp(-e.deltaY / 400), local(e)) }, {passive: false})
  over.addEventListener('dblclick', () => { view.at = null; moving = true; draw() })
  function showTip([x, y]) {
    tip.hidden = hover < 0
    if (tip.hidden) return
    tip.textContent = `item ${written(item[hover], null, null, {form: 'count'})}${label && label[hover] !== NONE ? `, label ${map.classes[label[hover]]}` : ''}, ${map.parts[part[hover]]}`
    Object.assign(tip.style, {left: x > width / 2 ? 'auto' : `${x + 16}px`, right: x > width / 2 ? `${width - x + 16}px` : 'auto', top: `${y + 8}px`})
  }
  const push = (dx, dy) => () => {
    if (!map) return
    if (view.deep) turn(dx * 0.1, dy * 0.1)
    else { const v = seen(); move([v[0] + dx * 40 / v[2], v[1] + dy * 40 / v[2], v[2]]) }
  }
  const watch = new ResizeObserver(() => { [width, height] = [box.clientWidth, box.clientHeight]; draw() }), theme = matchMedia('(prefers-color-scheme: dark)'), shaded = () => { if (map) { tint(); upload(); draw() } }
  watch.observe(box)
  theme.addEventListener('change', shaded)
  ;[width, height] = [box.clientWidth, box.clientHeight]
  load()
  return {
    keys: {ArrowLeft: push(-1, 0), ArrowRight: push(1, 0), ArrowUp: push(0, 1), ArrowDown: push(0, -1), '+': () => zoom(1.3), '-': () => zoom(1 / 1.3), 0: () => { view.at = null; moving = true; draw() }, '[': () => step(-1), ']': () => step(1), f: () => find.focus(), b: () => map ? fields() : false},
    close: () => { closed = true; asked++; cancelAnimationFrame(frame); clearTimeout(rest); watch.disconnect(); theme.removeEventListener('change', shaded); clearTimeout(waits); dots.close() },
  }
}
