// What every code decodes to: a sheet at equal shares of the law, the place under the finger, what is near, a path.

import {el, svg, put, named, button, kbd, say} from './dom.js'
import {written, took} from './numbers.js'
import {unpacked, ramp} from './play-drawn.js'
import {sheet} from './play-items.js'
import {retrying} from './play-retry.js'

const LEFT = 44, FOOT = 36, SHOWN = 8, ROWS = 40, REST_MS = 150, STEP_MS = 125, TICKS = [-2, -1, 0, 1, 2]
const fixed = (v) => written(Number(v.toFixed(2)), null, null, {decimals: 2})
const list = (text, width) => {
  const z = (text ?? '').split(',').map(Number)
  return text && z.length === width && z.every(Number.isFinite) ? z : null
}
const coded = (z) => z ? z.map((v) => Number(v.toFixed(3))).join(',') : ''

// Bytes as colours of the sequential map, whose ends are written in its key.
export function tinted({shape: [h, w], bytes}, most) {
  const style = getComputedStyle(document.documentElement), stops = Array.from({length: 9}, (_, i) => style.getPropertyValue(`--seq${i + 1}`).trim().match(/[\da-f]{2}/gi).map((c) => parseInt(c, 16)))
  const values = unpacked({dtype: 'uint8', bytes}), canvas = el('canvas', {width: w, height: h, class: 'sheet', role: 'img', 'aria-label': 'standard deviation of each pixel'}), image = new ImageData(w, h)
  values.forEach((v, i) => {
    const at = v / 255 * 8, low = Math.min(7, Math.floor(at))
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = stops[low][c] + (at - low) * (stops[low + 1][c] - stops[low][c])
    image.data[4 * i + 3] = 255
  })
  canvas.getContext('2d').putImageData(image, 0, 0)
  canvas.style.width = `${w * Math.max(1, Math.floor(most / w))}px`
  return canvas
}

export async function open(body, {id, query, run, ask, remember}) {
  const about = await ask('images/about'), D = about.width, pictures = about.kind === 'images', K = about.columns.length
  const high = pictures ? about.shape[1] : 0, wide = pictures ? about.shape[2] : 0
  const view = {
    z: list(query.get('z'), D) ?? new Array(D).fill(0), a: list(query.get('a'), D), b: list(query.get('b'), D), steps: Number(query.get('steps')) || 13,
    way: query.get('way') === 'sphere' ? 'sphere' : 'straight', mode: ['draw', 'doubt'].find((m) => m === query.get('mode')) ?? 'mean', seed: Number(query.get('seed')) || 0, column: Math.max(0, about.columns.findIndex((c) => c.name === query.get('column'))),
    axes: list(query.get('axes'), 2)?.map((d) => d - 1).filter((d) => d >= 0 && d < D) ?? [],
  }
  if (new Set(view.axes).size < Math.min(D, 2)) view.axes = about.order.slice(0, 2).sort((x, y) => x - y)
  let grid = null, exact = null, path = null, playing = 0, resting = 0, keeping = 0, closed = false, beyond = false
  const retry = retrying()

  // ---- the frame ----
  const room = Math.min(560, Math.max(200, body.clientWidth - LEFT - 8)), long = Math.max(high, wide)
  // 20 pictures across, or a few less where they can then be larger
  const least = pictures ? Math.max(1, Math.floor(room / (20 * long))) : 1, times = pictures && room / (long * (least + 1)) >= 15 ? least + 1 : least, n = pictures ? Math.max(3, Math.min(20, Math.floor(room / (long * times)))) : 20, W = pictures ? n * wide * times : Math.floor(room / n) * n
  const map = el('div', {class: 'field-of'}), caption = el('p', {class: 'note'}), head = el('div', {class: 'controls'}), big = el('div', {class: 'big'}), fault = el('p', {class: 'said-warn', role: 'alert', hidden: true}), said = el('p', {class: 'note', role: 'status'}), sliders = el('div', {class: 'sliders'}), nearest = el('div'), doubt = el('div'), command = el('div'), strip = el('div'), seg = el('div', {class: 'seg'})
  const title = (text, ...rest) => el('h2', {}, text, rest)
  put(body, el('p', {class: 'note hint'}, 'drag, or arrow keys: 0.05, with shift 0.5', kbd('R'), ' random ', kbd('A'), kbd('B'), ' ends of the path ', kbd('Space'), ' plays it'),
    el('div', {class: 'manifold'}, el('section', {class: 'part'}, head, map, caption), el('section', {class: 'part'}, title('Decoded here', seg), big, sliders, fault, said),
      el('section', {class: 'part'}, title(pictures ? 'Nearest real images' : 'Nearest items'), nearest, doubt, title('The same without the studio'), command)),
    el('section', {class: 'part way'}, strip))

  const place = (run().place ?? run().name).replace(/^'|'$/g, '').replaceAll(`'"'"'`, "'") // a command has it in quotes
  const name = (d) => `z${[...String(d + 1)].map((c) => '₀₁₂₃₄₅₆₇₈₉'[c]).join('')}`
  const size = (d) => about.by === 'none' ? '' : about.by === 'rate_nats' ? `${written(Number(about.sizes[d].toPrecision(2)))} nats` : `spread ${written(Number(about.sizes[d].toPrecision(2)))}`
  const reach = (d) => about.normal ? 4 : about.by === 'spread' ? 4 * about.sizes[d] || 1 : 1.5 * Math.max(...(grid?.shares.map((s) => Math.max(Math.abs(s[0]), Math.abs(s.at(-1)))) ?? [4]))

  // ---- places and numbers: z at 401 shares of each axis, straight between them, straight on beyond ----
  function share(i, v) {
    const t = grid.shares[i], last = t.length - 1
    let k = 0
    for (let step = 256; step; step >>= 1) if (k + step < last && t[k + step] <= v) k += step
    return Math.max(-0.02, Math.min(1.02, (k + (v - t[k]) / (t[k + 1] - t[k])) / last))
  }
  function number(i, at) {
    const t = grid.shares[i], last = t.length - 1, x = Math.max(0, Math.min(1, at)) * last, k = Math.min(last - 1, Math.floor(x))
    return t[k] + (x - k) * (t[k + 1] - t[k])
  }
  const tall = () => D < 2 ? (pictures ? high * times : 32) : pictures ? n * high * times : W
  const spot = (z) => [LEFT + share(0, z[view.axes[0]]) * W, D < 2 ? tall() / 2 : (1 - share(1, z[view.axes[1]])) * tall()]

  // ---- the sheet ----
  async function drawGrid() {
    try {
      const found = await ask('images/grid', {z: view.z, axes: view.axes, n}, {latest: 'grid'})
      if (found.dropped || closed) return
      grid = found
      answered(drawGrid)
    } catch (error) { return failed(error, drawGrid) }
    drawMap()
    if (!pictures && exact && (!drawn() || exact.drawn)) drawBig()
  }
  let marks = null, cells = null, ends = null
  function drawMap() {
    const H = tall(), rows = grid.rows
    marks = svg('g', {})
    const ticks = grid.shares.slice(0, 2).flatMap((table, i) => (about.normal ? TICKS : [0.02, 0.25, 0.5, 0.75, 0.98].map((q) => table[Math.round(q * (table.length - 1))])).filter((v) => v >= table[0] && v <= table.at(-1)).map((v) => {
      const at = share(i, v), text = about.normal ? written(v) : fixed(v)
      return i ? svg('g', {}, svg('line', {x1: LEFT - 4, x2: LEFT, y1: (1 - at) * H, y2: (1 - at) * H}), svg('text', {x: LEFT - 8, y: (1 - at) * H + 4, 'text-anchor': 'end'}, text))
        : svg('g', {}, svg('line', {x1: LEFT + at * W, x2: LEFT + at * W, y1: H, y2: H + 4}), svg('text', {x: LEFT + at * W, y: H + 16, 'text-anchor': 'middle'}, text))
    }))
    const over = svg('svg', {width: LEFT + W + 4, height: H + FOOT, class: 'over', tabindex: 0, role: 'img', 'aria-label': `${rows} by ${n} decoded means; the fields beside it say and set the place`}, pictures ? null : heat(H), ticks, svg('text', {x: LEFT + W, y: H + 31, 'text-anchor': 'end'}, name(view.axes[0])), D > 1 ? svg('text', {x: 2, y: 10}, name(view.axes[1])) : null, marks)
    cells = pictures ? sheet(grid.x, {columns: n, factor: times, label: 'decoded means'}) : null
    put(map, cells ? el('div', {style: {marginLeft: `${LEFT}px`}}, cells) : null, over)
    put(caption, `${n} × ${rows}${pictures ? `, ${times}× their pixels` : ''}, spaced so that every ${pictures ? 'picture' : 'cell'} is equally likely${about.normal ? '' : ' among the codes of the data'}.`, pictures ? null : ends)
    Object.assign(map.style, {width: `${LEFT + W + 4}px`, height: `${H + FOOT}px`})
    over.onpointerdown = (event) => {
      if (event.button) return
      over.setPointerCapture(event.pointerId)
      stop()
      over.onpointermove = point
      point(event)
    }
    over.onpointerup = over.onpointercancel = () => { over.onpointermove = null }
    drawMarks()
  }
  function point(event) {
    const box = map.getBoundingClientRect(), at = [(event.clientX - box.left - LEFT) / W, 1 - (event.clientY - box.top) / tall()], z = [...view.z]
    view.axes.forEach((d, i) => { z[d] = Number(number(i, at[i]).toFixed(3)) })
    // the nearest picture of the sheet at once; the exact one as it comes
    if (cells && view.mode === 'mean') {
      const canvas = el('canvas', {width: wide, height: high, class: 'sheet'}), column = Math.max(0, Math.min(n - 1, Math.floor(at[0] * n))), row = Math.max(0, Math.min(grid.rows - 1, Math.floor((1 - at[1]) * grid.rows)))
      canvas.getContext('2d').drawImage(cells, column * wide, row * high, wide, high, 0, 0, wide, high)
      shown(canvas)
    }
    move(z, {over: view.axes.some((_, i) => at[i] < 0 || at[i] > 1)})
  }
  function heat(H) {
    const all = unpacked(grid.x), values = Array.from({length: grid.rows * n}, (_, i) => all[i * K + view.column]), low = Math.min(...values), top = Math.max(...values), w = W / n, h = H / grid.rows, text = (v) => written(Number(v.toPrecision(4)))
    ends = el('span', {class: 'key-of'}, text(low), el('i'), text(top))
    return [values.map((v, i) => svg('rect', {x: LEFT + (i % n) * w, y: Math.floor(i / n) * h, width: w + 0.4, height: h + 0.4, fill: ramp('seq', top > low ? (v - low) / (top - low) : 0)}, svg('title', {}, written(Number(v.toPrecision(4))))))]
  }
  function drawMarks() {
    if (!grid || !marks) return
    const [x, y] = spot(view.z), H = tall(), line = (points) => points.map((p) => p.map((v) => v.toFixed(1)).join(',')).join(' ')
    const end = (z, text) => {
      if (!z) return null
      const [ex, ey] = spot(z)
      return svg('g', {class: 'end-of'}, svg('circle', {cx: ex, cy: ey, r: 9}), svg('text', {x: ex, y: ey + 4, 'text-anchor': 'middle'}, text))
    }
    put(marks, svg('path', {d: `M${x} 0V${H}${D > 1 ? `M${LEFT} ${y}H${LEFT + W}` : ''}`, class: 'cross'}), path ? svg('polyline', {points: line(path.z.map(spot)), class: 'path-of'}) : null, end(view.a, 'A'), end(view.b, 'B'),
      svg('circle', {cx: x, cy: y, r: 9, class: 'here'}), svg('circle', {cx: x, cy: y, r: 2.5, class: 'dot'}))
  }
  function drawHead() {
    const choose = (i, text) => el('label', {}, text, el('select', {id: `axis-${i}`, onchange: (e) => {
      const d = Number(e.target.value), other = view.axes[1 - i]
      if (other === d) view.axes[1 - i] = view.axes[i]
      view.axes[i] = d
      remember({axes: view.axes.map((v) => v + 1).join(',')})
      drawHead()
      drawGrid()
    }}, about.order.map((d) => el('option', {value: d, selected: d === view.axes[i]}, `${name(d)}${size(d) ? `, ${size(d)}` : ''}`))))
    put(head, D > 2 ? [choose(0, 'across'), choose(1, 'up')] : null, pictures ? null : el('label', {}, 'coloured by', el('select', {id: 'column', onchange: (e) => {
      view.column = Number(e.target.value)
      remember({column: about.columns[view.column].name})
      drawMap()
    }}, about.columns.map((c, i) => el('option', {value: i, selected: i === view.column}, c.name)))))
    head.hidden = !head.childNodes.length
  }

  // ---- one place ----
  function move(z, {known = null, over = false} = {}) {
    view.z = z
    beyond = over
    drawMarks()
    for (const d of view.axes) setField(d)
    clearTimeout(resting)
    if (known) shown(known)
    else decode()
    resting = setTimeout(rest, REST_MS)
  }
  const drawn = () => view.mode === 'draw'
  async function decode() {
    const z = view.z
    try {
      const found = await ask('images/decode', {z, ...(drawn() ? {drawn: true, seed: view.seed} : {})}, {latest: 'decode'})
      if (found.dropped || closed) return
      exact = {...found, z}
      answered(decode)
    } catch (error) { return failed(error, decode) }
    drawBig()
  }
  function shown(canvas) {
    canvas.style.width = `${wide * Math.max(1, Math.min(12, Math.floor(336 / Math.max(wide, high))))}px`
    put(big, canvas)
  }
  function drawBig() {
    const factor = Math.max(1, Math.min(12, Math.floor(336 / long))), one = (packed) => ({...packed, shape: packed.shape.slice(1)})
    if (pictures) shown(view.mode === 'doubt' ? tinted(exact.sd, 336) : sheet(one(drawn() ? exact.drawn : exact.x), {factor, label: `decoded ${drawn() ? 'draw' : 'mean'} of z`}))
    else put(big, bars())
    const far = exact.nearer !== null && exact.nearer > 0.999, inside = exact.nearer === null ? '' : `${exact.nearer > 0.9999 ? 'More than ' : ''}${written(Math.min(0.9999, exact.nearer), null, null, {form: 'share', decimals: exact.nearer > 0.99 ? 2 : 0})} of ${exact.of} ${about.normal ? 'lies nearer to 0' : 'lie nearer to their middle'} than this code. `
    put(said, outside(exact.z), far ? el('span', {class: 'warn'}, `△ Outside ${exact.of}’s 99.9 %: ${about.normal ? 'training has shown the decoder nothing here' : 'no item is coded here'}. `) : null, inside, `Decoded in ${took(exact.took_s)}`, pictures ? `, ${high} × ${wide} pixels drawn ${factor} × ${factor}` : '', drawn() ? `; draw of seed ${view.seed}` : '', '. ', drawn() ? button('Draw it again', () => { view.seed += 1; remember({seed: String(view.seed)}); decode() }, {class: 'link'}) : null)
    if (pictures) put(doubt, title('Doubt'), el('div', {class: 'doubt'}, tinted(exact.sd, 112), el('p', {class: 'note'}, 'Standard deviation of each pixel; white is 1.', el('span', {class: 'key-of'}, '0', el('i'), written(Number(exact.most.toPrecision(2)))))))
    put(command, el('div', {class: 'command'}, el('code', {}, `run = elboroom.load(${JSON.stringify(place)})`, el('br'), `run.decode([[${exact.z.map((v) => Number(v.toFixed(3))).join(', ')}]])`)))
  }
  // The mark stays in the frame; where the place is not, this says so.
  function outside(z) {
    const off = grid ? view.axes.filter((d, i) => z[d] < grid.shares[i][0] - 1e-6 || z[d] > grid.shares[i].at(-1) + 1e-6) : []
    if (off.length) return `${off.map((d) => `${name(d)} = ${fixed(z[d])}`).join(' and ')} ${off.length > 1 ? 'lie' : 'lies'} outside the sheet: the mark stands at its edge. `
    return beyond ? 'The sheet ends here; the fields go further. ' : ''
  }
  function bars() {
    const x = unpacked(drawn() ? exact.drawn : exact.x), sd = unpacked(exact.sd), all = grid ? unpacked(grid.x) : x, count = all.length / K, at = (c, v, low, top) => top > low ? Math.max(0, Math.min(1, (v - low) / (top - low))) : 0.5
    return el('table', {class: 'bars-of'}, el('thead', {}, el('tr', {}, ['Column', 'Value', 'within the sheet'].map((t, i) => el('th', {scope: 'col', class: i === 1 ? 'num' : ''}, t)))), el('tbody', {}, about.columns.slice(0, ROWS).map((c, i) => {
      let low = Infinity, top = -Infinity
      for (let k = 0; k < count; k++) { low = Math.min(low, all[k * K + i]); top = Math.max(top, all[k * K + i]) }
      const v = x[i], category = c.categories[Math.round(v)]
      return el('tr', {}, el('td', {}, named(c.name, 30)), el('td', {class: 'num'}, category !== undefined ? named(category, 20) : [written(Number(v.toPrecision(4))), drawn() ? null : el('span', {class: 'note'}, ` sd ${written(Number(sd[i].toPrecision(2)))}`)]),
        el('td', {}, svg('svg', {width: 120, height: 16, 'aria-hidden': 'true'}, svg('line', {x1: 0, x2: 120, y1: 8, y2: 8, stroke: 'var(--rule)'}), category !== undefined || drawn() ? null : svg('line', {x1: 120 * at(i, v - sd[i], low, top), x2: 120 * at(i, v + sd[i], low, top), y1: 8, y2: 8, stroke: 'var(--c1)', 'stroke-width': 6, 'stroke-opacity': 0.25}), svg('circle', {cx: 4 + 112 * at(i, v, low, top), cy: 8, r: 4, fill: 'var(--c1)'}))))
    })), el('caption', {}, K > ROWS ? `the first ${ROWS} of ${K} columns; ` : '', 'in the units of the data; the line spans what the sheet decodes to'))
  }
  async function rest() {
    if (playing) return
    keep()
    const z = view.z
    try {
      const found = await ask('images/near', {z}, {latest: 'near'})
      if (found.dropped || closed) return
      drawNear(found)
      if (found.read < found.n && z === view.z) resting = setTimeout(rest, 30)
      retry.answered(rest)
    } catch (error) { if (!closed && error.name !== 'AbortError') put(nearest, el('p', {class: 'note'}, 'None: ', retry.said(error, rest))) }
  }
  const label = (o) => o.label === null ? '' : about.classes[o.label] ?? String(o.label)
  function drawNear(found) {
    const seen = found.read < found.of ? `${written(found.read, null, null, {form: 'count'})} of ${written(found.of, null, null, {form: 'count'})} items, random` : `all ${written(found.of, null, null, {form: 'count'})} items`
    const names = found.near.map((o) => el('td', {title: `item ${o.item} (${o.part})`}, named(label(o) || `${o.item}`, 9), el('br'), el('span', {class: 'note'}, fixed(o.distance))))
    const factor = wide ? Math.max(1, Math.floor(48 / wide)) : 0
    put(nearest, found.pictures ? sheet(found.pictures, {columns: found.near.length, factor, label: 'nearest real images'}) : null, el('table', {class: 'names', style: {width: wide ? `${found.near.length * wide * factor}px` : ''}}, el('tbody', {}, el('tr', {}, names))), el('p', {class: 'note'}, `${found.near.some(label) ? 'Label' : 'Number'}, then distance in code space; among ${seen}.`))
  }
  // What the pointer took from the sheet gives way to the last exact picture, with its z.
  function failed(error, again) {
    if (closed || error.name === 'AbortError') return
    if (exact && (!drawn() || exact.drawn)) drawBig()
    fault.hidden = false
    put(fault, '△ ', retry.said(error, again), exact ? `What is shown is z = ${coded(exact.z)}.` : '')
  }
  function answered(again) {
    retry.answered(again)
    fault.hidden = true
  }
  function keep() {
    clearTimeout(keeping)
    keeping = setTimeout(() => remember({z: view.z.some(Boolean) ? coded(view.z) : '', a: coded(view.a), b: coded(view.b), way: view.way === 'straight' ? '' : view.way, steps: view.steps === 13 ? '' : String(view.steps), mode: view.mode === 'mean' ? '' : view.mode}), 100)
  }

  // ---- numbers ----
  const fields = {}
  function drawSliders() {
    const row = (d) => {
      const set = (text) => {
        const v = Number(text)
        if (text === '' || !Number.isFinite(v)) return
        stop()
        const z = [...view.z]
        z[d] = v
        move(z)
        if (!view.axes.includes(d)) drawGrid()
      }
      const range = el('input', {type: 'range', min: -reach(d), max: reach(d), step: 'any', value: view.z[d], id: `slide-${d}`, 'aria-label': name(d), oninput: (e) => set(Number(e.target.value).toFixed(3))})
      const field = el('input', {type: 'number', step: 0.05, value: Number(view.z[d].toFixed(3)), id: `z-${d}`, 'aria-label': `${name(d)}, as a number`, onchange: (e) => set(e.target.value)})
      fields[d] = [range, field]
      return el('div', {class: 'slider'}, el('label', {for: `slide-${d}`, title: size(d)}, name(d)), range, field)
    }
    const order = D > 2 ? about.order : Array.from({length: D}, (_, d) => d), more = order.slice(SHOWN)
    put(sliders, order.slice(0, SHOWN).map(row), more.length ? el('details', {}, el('summary', {class: 'note'}, `${more.length} further dimensions`), more.map(row)) : null, D > 2 && about.by !== 'none' ? el('p', {class: 'note'}, about.by === 'rate_nats' ? 'Sorted by the nats each carries.' : 'Sorted by the spread of the codes.') : null)
  }
  function setField(d) {
    const [range, field] = fields[d]
    if (document.activeElement !== range) range.value = view.z[d]
    if (document.activeElement !== field) field.value = Number(view.z[d].toFixed(3))
  }
  const setFields = () => { for (let d = 0; d < D; d++) setField(d) }

  // ---- the path ----
  async function drawPath() {
    if (!view.a || !view.b) {
      put(strip, title('Path from A to B'), el('p', {class: 'note'}, `${view.a || view.b ? 'One end is set' : 'No ends yet'}: move to a place and set it. `, button('Set A here', () => setEnd('a'), {id: 'set-a'}), ' ', button('Set B here', () => setEnd('b'), {id: 'set-b'})))
      return
    }
    try {
      const found = await ask('images/path', {a: view.a, b: view.b, steps: view.steps, way: view.way}, {latest: 'path'})
      if (found.dropped || closed) return
      path = found
      answered(drawPath)
    } catch (error) { return failed(error, drawPath) }
    const most = Math.min(body.clientWidth - 80, 1100), factor = wide ? Math.max(1, Math.min(4, Math.floor(most / (view.steps * wide)))) : 0
    put(strip, el('div', {class: 'head'}, title('Path from A to B', el('span', {class: 'note'}, `${view.steps} steps, ${view.way === 'sphere' ? 'on the sphere' : 'straight in code space'}`)), el('div', {class: 'end controls'},
      el('div', {class: 'seg', role: 'group', 'aria-label': 'way'}, ['straight', 'sphere'].map((w) => button(w, () => { view.way = w; keep(); drawPath() }, {'aria-pressed': String(view.way === w), id: `way-${w}`}))),
      el('label', {}, 'steps', el('input', {type: 'range', min: 3, max: 40, value: view.steps, id: 'steps', onchange: (e) => { view.steps = Number(e.target.value); keep(); drawPath() }})),
      button('Set A here', () => setEnd('a'), {id: 'set-a'}, kbd('A')), button('Set B here', () => setEnd('b'), {id: 'set-b'}, kbd('B')), button('Play', play, {id: 'play-path'}, kbd('Space')))),
    pictures ? el('div', {class: 'scroll ends-of'}, el('b', {}, 'A'), sheet(path.x, {columns: path.z.length, factor, label: 'decoded along the path'}), el('b', {}, 'B')) : el('p', {class: 'note'}, 'Play moves the place along it.'))
    drawMarks()
  }
  function setEnd(which) {
    view[which] = [...view.z]
    keep()
    say(`${which.toUpperCase()} is at ${coded(view.z)}`)
    drawMarks()
    drawPath()
  }
  function stop() {
    clearInterval(playing)
    playing = 0
  }
  function play() {
    if (playing) return stop()
    if (!path) return say('set both ends first')
    let i = 0
    const size = pictures ? path.x.shape.slice(1).reduce((a, b) => a * b, 1) : 0, bytes = pictures ? unpacked(path.x) : null
    const one = (k) => pictures && view.mode === 'mean' ? sheet({shape: path.x.shape.slice(1), dtype: 'uint8', bytes: btoa(String.fromCharCode(...bytes.subarray(k * size, (k + 1) * size)))}, {label: 'decoded mean'}) : null
    const step = () => {
      if (closed || i >= path.z.length) {
        stop()
        if (!closed) move([...view.z])
        return
      }
      move(path.z[i], {known: one(i)})
      setFields()
      i++
    }
    playing = setInterval(step, STEP_MS)
    step()
  }

  function drawMode() {
    put(seg, (pictures ? ['mean', 'draw', 'doubt'] : ['mean', 'draw']).map((m) => button(m, () => { view.mode = m; keep(); drawMode(); decode() }, {'aria-pressed': String(view.mode === m), id: `mode-${m}`})))
  }
  function random() {
    stop()
    const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()), z = [...view.z]
    if (about.normal) for (let d = 0; d < D; d++) z[d] = Number(normal().toFixed(3))
    else view.axes.forEach((d, i) => { z[d] = Number(number(i, Math.random()).toFixed(3)) })
    move(z)
    setFields()
    if (D > 2) drawGrid()
  }
  const by = (i, sign) => (event) => {
    if (event.target.matches?.('input, select') || view.axes[i] === undefined) return false
    stop()
    const z = [...view.z], d = view.axes[i]
    z[d] = Number((z[d] + sign * (event.shiftKey ? 0.5 : 0.05)).toFixed(3))
    move(z)
  }

  put(nearest, el('p', {class: 'note'}, 'Reading the data.'))
  drawHead()
  drawMode()
  drawSliders()
  await drawGrid()
  if (!about.normal) drawSliders()
  decode()
  drawPath()
  resting = setTimeout(rest, REST_MS)
  return {
    keys: {
      ArrowLeft: by(0, -1), ArrowRight: by(0, 1), ArrowDown: by(1, -1), ArrowUp: by(1, 1), r: random, a: () => setEnd('a'), b: () => setEnd('b'),
      ' ': (event) => event.target.matches?.('button, summary, input') ? false : play(),
    },
    close: () => {
      closed = true
      stop()
      clearTimeout(resting)
      clearTimeout(keeping)
      retry.close()
    },
  }
}
