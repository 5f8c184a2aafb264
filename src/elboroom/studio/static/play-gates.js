// Inside a recurrent cell, step by step: the textbook drawing of two adjacent steps with the numbers of one unit, the
// sequence with a cursor, and one gate of all units over time. A pass is fetched once; stepping through it asks nothing.

import {el, svg, put, named, button, kbd, say} from './dom.js'
import {written, count} from './numbers.js'
import {unpacked, grown, ramp} from './play-drawn.js'

const FINE = 65535, LEFT = 92, RIGHT = 8, PANEL = 40, CHANNELS = 4, BAR = 26, WIDE = 1000, LEVELS = 64
const WORDS = {f: 'forget gate', i: 'input gate', g: 'what may be written', o: 'output gate', c: 'cell state', h: 'output', r: 'reset gate', z: 'gate that keeps', n: 'what may be written', pre: 'sum before tanh'}
const SHARES = new Set(['f', 'i', 'o', 'r', 'z']), USUAL = {layer: 1, unit: null, step: null, start: null, steps: 256, series: null, text: '', backward: false}
const TOKENS = 64, ROWS = 256 // what a command reads

// Three significant digits, as the reports' drawing writes them.
export function three(v) {
  if (!Number.isFinite(v)) return v > 0 ? '∞' : '−∞'
  if (v === 0) return '0'
  const [digits, power] = v.toExponential(2).split('e').map(Number)
  return (power >= -3 && power <= 3 ? Number(v.toPrecision(3)).toFixed(Math.max(0, 2 - power)) : `${digits.toFixed(2)}e${power}`).replaceAll('-', '−')
}

export async function open(body, {query, run, ask, remember}) {
  const whole = (name, usual) => query.has(name) && /^\d+$/.test(query.get(name)) ? Number(query.get(name)) : usual
  const view = {layer: whole('layer', 1), unit: whole('unit', null), step: whole('t', null), gate: query.get('gate') ?? '', start: whole('from', null), steps: whole('steps', USUAL.steps), series: whole('series', null), text: query.get('text') ?? '', backward: query.has('backward')}
  let pass = null, one = null, drawn = null, closed = false, asking = 0, waiting = 0
  const told = el('div', {role: 'status'}), title = el('h2'), controls = el('div', {class: 'controls'}), slide = el('input', {type: 'range', id: 'step', min: 2, class: 'long', 'aria-label': 'step', oninput: () => go(Number(slide.value))}), at = el('b')
  const cells = el('figure', {class: 'drawn cells'}), law = el('p', {class: 'note'}), text = el('div', {class: 'tokens', translate: 'no', hidden: true}), line = svg('svg', {tabindex: 0, role: 'img'}), map = el('canvas', {tabindex: 0, role: 'img'}), mark = svg('svg', {class: 'mark', 'aria-hidden': 'true', preserveAspectRatio: 'none'}), label = el('span', {class: 'note'}), caption = el('p', {class: 'note'}), read = el('p', {class: 'note'})
  const heat = el('div', {class: 'heat'}, label, map, mark), command = el('div', {class: 'part'})
  const rest = el('div', {hidden: true}, el('div', {class: 'controls', style: {margin: '8px 0'}}, el('label', {for: 'step'}, 'Step'), button('−', () => go(view.step - 1), {'aria-label': 'the step before', id: 'step-back'}), slide, button('+', () => go(view.step + 1), {'aria-label': 'the next step', id: 'step-on'}), at, button('Largest change', largest, {id: 'largest'}, kbd('c'))), cells, law, text, el('figure', {class: 'chart'}, line), el('figure', {class: 'chart'}, heat, read), caption, command)
  const shown = el('div', {class: 'play-gates', hidden: true}, el('div', {class: 'head'}, title), controls, rest)
  put(body, told, shown)

  // ---- asking -----------------------------------------------------------------------------------------------------------

  const which = ({layer, steps, text, start, series, backward} = view) => ({layer, steps, ...backward ? {backward} : {}, ...text ? {text} : start === null ? {} : {start}, ...series === null ? {} : {series}})
  const failed = (error) => { if (!closed) put(told, el('p', {class: 'said-bad', role: 'alert'}, error.message)) }

  // What is asked for becomes the view, and the address, once it is there; before that its fields stay as they are.
  async function load(next = {...view}) {
    const mine = ++asking
    put(told, el('p', {class: 'note'}, 'reading the sequence'))
    try {
      const found = await ask('gates/pass', which(next), {latest: 'gates'})
      if (mine !== asking || closed || found?.dropped) return
      pass = found
      Object.assign(view, next)
    } catch (error) {
      if (mine !== asking) return
      failed(error)
      if (!pass) drawControls(next)
      return
    }
    for (const value of Object.values(pass.values)) value.values = unpacked(value.values)
    pass.input = pass.input && unpacked(pass.input)
    if (!pass.values[view.gate]) view.gate = pass.gates[0]
    if (!(view.unit >= 1 && view.unit <= pass.units)) view.unit = pass.unit
    if (!(view.step >= 2 && view.step <= pass.steps.length)) view.step = pass.step
    drawDrawing()
    drawControls()
    await loadUnit()
  }

  async function loadUnit() {
    const mine = ++asking
    try {
      const found = await ask('gates/unit', {...which(), unit: view.unit}, {latest: 'gates'})
      if (mine !== asking || closed || found?.dropped) return
      const values = unpacked(found.values), T = pass.steps.length
      one = {said: found.said, ...Object.fromEntries(found.names.map((name, i) => [name, values.subarray(i * T, (i + 1) * T)]))}
      one.most = Object.fromEntries(found.names.map((name) => [name, one[name].reduce((most, v) => Math.max(most, Math.abs(v)), 1e-9)]))
    } catch (error) { return failed(error) }
    put(title, pass.name, el('span', {class: 'note'}, `${pass.layers > 1 ? `layer ${pass.layer} of ${pass.layers}, ` : ''}unit ${view.unit} of ${pass.units}. ${pass.said}`))
    put(told)
    shown.hidden = rest.hidden = false
    drawMap()
    go(view.step)
  }

  // ---- what is drawn once -----------------------------------------------------------------------------------------------

  function drawControls(wanted = view) {
    const number = (label, id, value, least, most, does) => el('label', {}, label, el('input', {type: 'number', id, value, min: least, max: most, onchange: (e) => { const v = Math.round(Number(e.target.value)); if (Number.isFinite(v)) does(Math.max(least, v)) }}))
    const select = (label, id, options, value, does) => el('label', {}, label, el('select', {id, onchange: (e) => does(e.target.value)}, options.map(([v, t]) => el('option', {value: v, selected: String(v) === String(value)}, t))))
    const anew = (values) => load({...wanted, step: null, ...values}), typed = () => el('label', {}, 'Text', el('input', {id: 'text', value: wanted.text, placeholder: 'held-out text, or type here', size: 28, onchange: (e) => anew({text: e.target.value, start: null})}))
    if (!pass) { // nothing could be read: the settings that it was asked with
      put(controls, number('Layer', 'layer', wanted.layer, 1, null, (v) => anew({layer: v})), wanted.series === null ? null : number('Series', 'series', wanted.series, 0, null, (v) => anew({series: v})), wanted.start === null ? null : number('From', 'from', wanted.start, 0, null, (v) => anew({start: v})), number('Steps', 'steps', wanted.steps, 2, 2000, (v) => anew({steps: v})), wanted.text ? typed() : null, button('As the page begins', () => anew(USUAL), {id: 'usual'}))
      shown.hidden = false
      return
    }
    put(controls, pass.layers > 1 ? select('Layer', 'layer', Array.from({length: pass.layers}, (_, i) => [i + 1, i + 1]), view.layer, (v) => anew({layer: Number(v), unit: null})) : null,
      pass.directions > 1 ? select('Direction', 'direction', [['', 'forwards'], ['1', 'backwards']], view.backward ? '1' : '', (v) => anew({backward: Boolean(v), unit: null})) : null,
      number('Unit', 'unit', view.unit, 1, pass.units, (v) => follow(Math.min(pass.units, v))), select('Map', 'gate', Object.keys(pass.values).map((g) => [g, `${g}, ${WORDS[g]}`]), view.gate, (v) => { view.gate = v; kept(); drawMap(); go(view.step) }),
      pass.series.length > 1 ? select('Series', 'series', pass.series.map((s, i) => [i, s]), pass.number, (v) => anew({series: Number(v), start: 0})) : null,
      pass.items > 1 && !view.text ? number(`Sequence, of ${pass.items.toLocaleString('en')}`, 'series', pass.number + 1, 1, pass.items, (v) => anew({series: Math.min(v, pass.items) - 1})) : null,
      view.text || pass.items ? null : number(pass.text ? 'From token' : 'From row', 'from', pass.start, 0, pass.of - 2, (v) => anew({start: v})), number('Steps', 'steps', view.steps, 2, 2000, (v) => anew({steps: v})), el('span', {class: 'note'}, view.text || pass.items ? '' : `of ${pass.of.toLocaleString('en')}`),
      pass.text ? typed() : null)
  }

  function drawDrawing() {
    const forms = (cells.clientWidth || body.clientWidth) < WIDE ? 'narrow' : 'wide'
    put(cells, pass.drawing[forms].map(grown))
    drawn = [...cells.querySelectorAll('.cell')]
    drawn.forEach((cell, i) => {
      cell.back = i - drawn.length + 1
      cell.values = [...cell.querySelectorAll('.value')].map((node) => {
        const words = node.querySelector('text'), x = Number(words.getAttribute('x')), end = words.getAttribute('text-anchor'), left = end === 'middle' ? x - BAR / 2 : end === 'end' ? x - BAR : x
        const bar = svg('rect', {y: Number(words.getAttribute('y')) + 2.5, height: 3})
        node.append(bar)
        return {name: node.dataset.name, before: node.dataset.before, words, label: svg('title'), bar, middle: left + BAR / 2}
      })
      cell.labels = [...cell.querySelectorAll('.label')].map((node) => [node.dataset.form, node.querySelector('text')])
      cell.inputs = [...cell.querySelectorAll('.input')].map((node) => [Number(node.dataset.line), node.querySelector('text')])
    })
    put(law, pass.equations, ' The bar under a number is its size, from −1 to 1, or to the largest of this sequence; pointing at it says what it is.')
    text.hidden = !pass.text
    put(text, pass.text ? pass.steps.map((s, i) => el('span', {'data-step': i + 1}, s)) : null)
  }

  function drawCommand() {
    const {start, series, steps, step, layer, unit, backward} = view, quoted = (words) => `'${words.replaceAll("'", "'\\''")}'`
    const same = pass.text ? (start === null || view.text) && step <= TOKENS : start === null && series === null && steps === ROWS && step <= ROWS
    const line = ['elboroom inspect', run().place ?? quoted(run().name), ...view.text ? ['--text', quoted(view.text)] : [], ...layer > 1 ? [`--layer ${layer}`] : [], ...backward ? ['--backward'] : [], `--unit ${unit} --step ${step} --out cells.png`].join(' ')
    put(command, el('h2', {}, 'As a command'), same ? el('div', {class: 'command'}, el('code', {translate: 'no'}, line), button('copy', () => navigator.clipboard?.writeText(line), {class: 'link'}))
      : el('p', {class: 'note'}, `A command reads the ${pass.text ? `first ${TOKENS} tokens of the held-out text, or of a text that is given` : `${ROWS} rows that this page begins with`}; this drawing is of others.`))
  }

  const X = (k) => LEFT + k / pass.steps.length * (width() - LEFT - RIGHT)
  const width = () => Math.max(280, Math.round(line.parentNode.clientWidth || 900))

  // The input and the unit's gates and states over all steps.
  function drawLine() {
    const T = pass.steps.length, C = pass.channels.length, parts = [], panels = [...pass.channels.slice(0, CHANNELS).map((name, c) => [name, Array.from({length: T}, (_, k) => pass.input[k * C + c]), 'var(--ink)']), ...Object.keys(pass.values).map((g) => [g, one[g], 'var(--accent)', WORDS[g]])]
    let y = 4
    for (const [name, values, stroke, said] of panels) {
      const there = values.filter(Number.isFinite)
      let [low, high] = SHARES.has(name) && said ? [0, 1] : [there.reduce((a, b) => Math.min(a, b), Infinity), there.reduce((a, b) => Math.max(a, b), -Infinity)]
      if (!(high > low)) [low, high] = [(Number.isFinite(low) ? low : 0) - 0.5, (Number.isFinite(high) ? high : 0) + 0.5]
      const Y = (v) => y + PANEL - 2 - (v - low) / (high - low) * (PANEL - 4)
      let d = '', pen = false
      for (let k = 0; k < T; k++) {
        if (Number.isFinite(values[k])) d += `${pen ? 'L' : 'M'}${X(k + 0.5).toFixed(1)} ${Y(values[k]).toFixed(1)}`
        pen = Number.isFinite(values[k])
      }
      for (const v of [low, high]) parts.push(svg('line', {x1: LEFT, x2: width() - RIGHT, y1: Y(v), y2: Y(v), stroke: 'var(--rule)'}), svg('text', {x: LEFT - 6, y: Y(v) + 4, 'text-anchor': 'end'}, said && (v === 0 || v === 1) ? v : three(v)))
      parts.push(svg('text', {x: 0, y: y + PANEL / 2 + 4, class: 'label', translate: 'no'}, name.length > 8 ? `${name.slice(0, 7)}…` : name, svg('title', {}, said ? `${name}, ${said}, of unit ${view.unit}` : name)), svg('path', {d, fill: 'none', stroke, 'stroke-width': 1.2}))
      y += PANEL + 10
    }
    line.cursor = svg('rect', {y: 0, height: y - 8, fill: 'var(--accent)', opacity: 0.16})
    line.replaceChildren(line.cursor, ...parts)
    line.setAttribute('viewBox', `0 0 ${width()} ${y}`)
    line.style.height = `${y}px`
    const {low, high} = pass.values[view.gate], share = SHARES.has(view.gate)
    put(caption, C ? `Lines: the input${C > CHANNELS ? `, ${CHANNELS} of ${C} channels,` : ''} and under it` : 'Lines:', ` gates and states of unit ${view.unit}. Map: a row a unit, a column a step; a click goes to both. ${view.gate} from ${three(low)} `,
      svg('svg', {class: 'key', viewBox: '0 0 16 2', 'aria-hidden': 'true'}, Array.from({length: 16}, (_, i) => svg('rect', {x: i, width: 1.05, height: 2, fill: ramp(share ? 'seq' : 'div', share ? Math.sqrt(i / 15) : i / 15)}))), ` to ${three(high)}${share ? ', square-root scale' : ''}.`)
  }

  function drawMap() {
    const {low, high, values} = pass.values[view.gate], T = pass.steps.length, U = pass.units, paint = el('canvas', {width: T, height: U}), context = paint.getContext('2d'), image = context.createImageData(T, U), probe = context.constructor && el('i', {hidden: true})
    body.append(probe)
    const colours = Array.from({length: LEVELS + 1}, (_, i) => {
      probe.style.color = SHARES.has(view.gate) ? ramp('seq', Math.sqrt(i / LEVELS)) : ramp('div', i / LEVELS)
      context.fillStyle = getComputedStyle(probe).color
      context.fillRect(0, 0, 1, 1)
      return context.getImageData(0, 0, 1, 1).data
    })
    probe.remove()
    for (let k = 0; k < T; k++) for (let u = 0; u < U; u++) image.data.set(colours[Math.round(values[k * U + u] / FINE * LEVELS)], 4 * (u * T + k))
    context.putImageData(image, 0, 0)
    const tall = Math.max(2, Math.min(12, Math.floor(240 / U))) * U, wide = Math.round(width() - LEFT - RIGHT)
    Object.assign(map, {width: wide, height: tall})
    map.style.height = mark.style.height = `${tall}px`
    map.getContext('2d').imageSmoothingEnabled = T > wide
    map.getContext('2d').drawImage(paint, 0, 0, wide, tall)
    map.setAttribute('aria-label', `${view.gate}, ${WORDS[view.gate]}: ${count(U, 'unit')} over ${count(T, 'step')}, from ${three(low)} to ${three(high)}`)
    put(label, el('b', {}, view.gate), `, units 1 to ${U} downwards`)
    mark.setAttribute('viewBox', `0 0 ${T} ${U}`)
    mark.replaceChildren()
    mark.cursor = svg('rect', {y: 0, height: U, width: 2, class: 'cursor'})
    mark.append(svg('rect', {x: 0, width: T, y: view.unit - 1, height: 1, class: 'row'}), mark.cursor)
    drawLine()
  }

  // ---- a step -----------------------------------------------------------------------------------------------------------

  const value = (name, k) => one[name]?.[k - 1]
  function go(step) {
    if (!one) return
    view.step = Math.max(2, Math.min(pass.steps.length, step))
    clearTimeout(waiting)
    waiting = setTimeout(() => { kept(); drawCommand() }, 150)
    for (const cell of drawn) {
      const k = view.step + cell.back
      for (const v of cell.values) {
        const number = value(v.name, k), share = ['f', 'i', 'o', 'r', 'z', 'g', 'n', 'h', 'h_before', 'squashed', 'open'].includes(v.name) ? number : number / one.most[v.name], size = Math.min(1, Math.abs(share)) * BAR / 2
        v.label.textContent = `${one.said[v.name].replaceAll('[t-1]', `[${k - 1}]`).replaceAll('[t]', `[${k}]`)} = ${number}`
        v.words.replaceChildren(v.label, `${v.before} ${three(number)}`.trim())
        for (const [name, x] of [['x', share < 0 ? v.middle - size : v.middle], ['width', size], ['fill', ramp('div', 0.5 + share / 2)]]) v.bar.setAttribute(name, x)
      }
      for (const [form, words] of cell.labels) words.textContent = form.replace('{-1}', k - 1).replace('{}', k)
      for (const [i, words] of cell.inputs) words.textContent = pass.lines[k - 1][i]
    }
    line.cursor.setAttribute('x', X(view.step - 2))
    line.cursor.setAttribute('width', X(2) - X(0))
    mark.cursor.setAttribute('x', view.step - 2)
    slide.max = pass.steps.length
    slide.value = view.step
    put(at, `${view.step} of ${pass.steps.length}`, el('span', {class: 'note'}, ` ${pass.steps[view.step - 1]}`))
    slide.setAttribute('aria-valuetext', `step ${view.step}, ${pass.steps[view.step - 1]}`)
    line.setAttribute('aria-label', `unit ${view.unit} over ${pass.steps.length} steps; the drawing is of steps ${view.step - 1} and ${view.step}`)
    text.querySelectorAll('.on').forEach((n) => n.classList.remove('on'))
    for (const k of [view.step - 1, view.step]) text.children[k - 1]?.classList.add('on')
    const here = text.children[view.step - 1]
    if (here) text.scrollTop = here.offsetTop - text.offsetTop - text.clientHeight / 2
  }

  const kept = () => pass && remember({layer: view.layer > 1 ? String(view.layer) : '', unit: view.unit ? String(view.unit) : '', t: view.step ? String(view.step) : '', backward: view.backward ? '1' : '', gate: view.gate, from: view.start === null ? '' : String(view.start), steps: view.steps === 256 ? '' : String(view.steps), series: view.series === null ? '' : String(view.series), text: view.text})

  function follow(unit) {
    view.unit = unit
    kept()
    drawControls()
    loadUnit()
  }

  // Where the unit's output changes most; the first eighth, from the empty state, is left out.
  function largest() {
    if (!one) return
    let best = 0, to = 2
    for (let k = Math.floor(pass.steps.length / 8) + 1; k < pass.steps.length; k++) {
      const change = Math.abs(one.h[k] - one.h[k - 1])
      if (change > best) [best, to] = [change, k + 1]
    }
    go(to)
    say(`step ${to}`)
  }

  // ---- pointer and keys -------------------------------------------------------------------------------------------------

  const stepAt = (event, box) => Math.floor((event.clientX - box.left) / box.width * pass.steps.length) + 1
  const inLine = (event) => { const box = line.getBoundingClientRect(); return stepAt(event, {left: box.left + LEFT, width: box.width - LEFT - RIGHT}) }
  line.addEventListener('pointerdown', (e) => { if (one) go(inLine(e)) })
  line.addEventListener('pointermove', (e) => { if (one && e.buttons & 1) go(inLine(e)) })
  text.addEventListener('click', (e) => { if (e.target.dataset.step) go(Number(e.target.dataset.step)) })
  const unitAt = (e, box) => Math.max(1, Math.min(pass.units, Math.floor((e.clientY - box.top) / box.height * pass.units) + 1))
  map.addEventListener('pointermove', (e) => {
    const box = map.getBoundingClientRect(), k = Math.max(1, Math.min(pass.steps.length, stepAt(e, box))), u = unitAt(e, box), {low, high, values} = pass.values[view.gate]
    read.textContent = `${view.gate} of unit ${u} at step ${k}, ${pass.steps[k - 1]}: ${three(low + values[(k - 1) * pass.units + u - 1] / FINE * (high - low))}`
  })
  map.addEventListener('click', (e) => {
    const box = map.getBoundingClientRect(), unit = unitAt(e, box)
    go(stepAt(e, box))
    if (unit !== view.unit) follow(unit)
  })
  shown.addEventListener('keydown', (e) => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[e.key], turn = e.target === map ? {ArrowUp: -1, ArrowDown: 1}[e.key] : 0
    if (e.target.matches('input, select') || !one || !(by || turn)) return
    e.preventDefault()
    e.stopPropagation()
    if (by) go(view.step + by * (e.shiftKey ? 10 : 1))
    else follow(Math.max(1, Math.min(pass.units, view.unit + turn)))
  })
  const redraw = () => { if (one) { drawDrawing(); drawMap(); go(view.step) } }
  const theme = matchMedia('(prefers-color-scheme:dark)'), size = new ResizeObserver(() => { if (one && !shown.hidden && redraw.at !== width()) { redraw.at = width(); redraw() } })
  theme.addEventListener('change', redraw)
  size.observe(shown)
  load()
  return {
    keys: {ArrowLeft: (e) => go(view.step - (e?.shiftKey ? 10 : 1)), ArrowRight: (e) => go(view.step + (e?.shiftKey ? 10 : 1)), c: largest},
    close: () => {
      closed = true
      clearTimeout(waiting)
      theme.removeEventListener('change', redraw)
      size.disconnect()
    },
  }
}
