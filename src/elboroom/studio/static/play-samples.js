// New draws of a seed: the same z while truncation, temperature and class are moved.

import {el, svg, put, named, button, kbd} from './dom.js'
import {written, took} from './numbers.js'
import {unpacked} from './play-drawn.js'
import {sheet, lined} from './play-items.js'

const N = 64, POINTS = 256, MOST = 3, FACTORS = [1, 2, 4, 8]
const MARKS = [['precision', 'Precision', 'samples that look real'], ['density', 'Density', 'as usual as real ones at 1'], ['recall', 'Recall', 'real data it can make'], ['coverage', 'Coverage', 'real data with a sample near']]

export async function open(body, {id, query, run, ask, remember}) {
  const about = await ask('images/about'), pictures = about.kind === 'images', K = about.columns.length, number = (name, usual) => query.has(name) && Number.isFinite(Number(query.get(name))) ? Number(query.get(name)) : usual
  const view = {seed: Math.max(0, Math.floor(number('seed', 0))), truncation: number('truncation', MOST), temperature: number('temperature', 1), mean: query.get('draws') !== 'x', label: number('label', -1), factor: number('factor', 0), x: 0, y: Math.min(1, K - 1)}
  let closed = false, found = null
  const bar = el('div', {class: 'controls'}), out = el('div'), said = el('p', {class: 'note', role: 'status'}), marks = el('div'), command = el('div'), scale = el('div', {class: 'seg', role: 'group', 'aria-label': 'size'})
  put(body, bar, el('div', {class: 'live'}, el('section', {class: 'part'}, el('h2', {}, pictures ? 'New draws' : 'New rows', scale), out, said), el('section', {class: 'part'}, marks, el('h2', {}, 'The same without the studio'), command)))
  const cut = () => about.draws && view.truncation < MOST ? view.truncation : null
  const keep = () => remember({seed: view.seed ? String(view.seed) : '', truncation: cut() === null ? '' : String(cut()), temperature: view.temperature === 1 ? '' : String(view.temperature), draws: about.draws || view.mean ? '' : 'x', label: view.label < 0 ? '' : String(view.label), factor: view.factor ? String(view.factor) : ''})

  function drawBar() {
    const slider = (name, text, low, top, step, shown) => {
      const told = el('output', {for: name}, shown(view[name]))
      return el('label', {class: 'wide'}, text, el('input', {type: 'range', id: name, min: low, max: top, step, value: view[name], 'aria-label': text, oninput: (e) => {
        view[name] = Number(e.target.value)
        told.textContent = shown(view[name])
        e.target.setAttribute('aria-valuetext', told.textContent)
        draw()
      }}), told)
    }
    const two = (v) => written(Number(v.toFixed(2)), null, null, {decimals: 2})
    put(bar, el('label', {}, 'seed', el('input', {type: 'number', id: 'seed', min: 0, step: 1, value: view.seed, onchange: (e) => { if (/^\d+$/.test(e.target.value)) { view.seed = Number(e.target.value); draw() } }})), button('Next seed', next, {id: 'next-seed'}, kbd('R')),
      about.draws ? slider('truncation', 'truncation, |z| up to', 0.05, MOST, 0.05, (v) => v < MOST ? two(v) : 'whole prior') : [slider('temperature', 'temperature of the prior', 0, 1.5, 0.05, two), el('div', {class: 'seg', role: 'group', 'aria-label': 'what is shown'}, [[true, 'means'], [false, 'draws of x']].map(([mean, text]) => button(text, () => { view.mean = mean; drawBar(); draw() }, {'aria-pressed': String(view.mean === mean), id: mean ? 'means' : 'draws'})))],
      about.asked ? slider('label', 'class', -1, about.asked - 1, 1, (v) => v < 0 ? 'as they come' : about.classes[v] ?? String(v)) : null)
  }
  function next() {
    view.seed += 1
    drawBar()
    draw()
  }
  async function draw() {
    keep()
    drawMarks()
    drawCommand()
    try {
      const answer = await ask('images/sample', {n: pictures ? N : POINTS, seed: view.seed, temperature: view.temperature, mean: !about.draws && view.mean, ...(cut() === null ? {} : {truncation: cut()}), ...(view.label < 0 ? {} : {label: view.label})}, {latest: 'sample'})
      if (answer.dropped || closed) return
      found = answer
    } catch (error) {
      if (error.name !== 'AbortError' && !closed) put(said, el('span', {class: 'bad'}, `× ${error.message}`))
      return
    }
    show()
  }
  function show() {
    put(scale, pictures ? FACTORS.map((f) => button(`${f}×`, () => { view.factor = f; keep(); show() }, {'aria-pressed': String(f === view.factor), id: `times-${f}`})) : null)
    const usual = pictures ? Math.max(1, Math.min(8, Math.floor(Math.min(body.clientWidth - 8, 640) / (8 * about.shape[2])))) : 0, factor = view.factor || usual
    put(out, pictures ? el('div', {class: 'scroll'}, lined(sheet(found.x, {columns: 8, factor, label: `${N} new draws`}), about.shape[2] * factor, about.shape[1] * factor)) : points())
    put(said, `${pictures ? `${N} ${!about.draws && view.mean ? 'decoded means of draws of z' : 'draws'}, seed ${view.seed}, none chosen; each pixel ${factor}×` : `${POINTS} rows, seed ${view.seed}, none chosen`}; drawn in ${took(found.took_s)}. The same z at every ${about.draws ? 'truncation and class' : 'temperature'}.`)
  }
  function points() {
    const all = unpacked(found.x), S = 420, P = 44, axis = (k) => {
      const values = Array.from({length: POINTS}, (_, i) => all[i * K + k]), low = Math.min(...values), top = Math.max(...values)
      return {values, low, top, at: (v) => top > low ? (v - low) / (top - low) : 0.5}
    }
    const x = axis(view.x), y = axis(view.y), choose = (name) => el('select', {'aria-label': name, onchange: (e) => { view[name] = Number(e.target.value); show() }}, about.columns.map((c, i) => el('option', {value: i, selected: i === view[name]}, c.name))), text = (v) => written(Number(v.toPrecision(3)))
    return el('figure', {class: 'chart'}, el('p', {class: 'controls'}, el('label', {}, 'across', choose('x')), el('label', {}, 'up', choose('y'))), svg('svg', {viewBox: `0 0 ${S + P} ${S + 20}`, style: {maxWidth: `${S + P}px`}, role: 'img', 'aria-label': `${POINTS} new rows: ${about.columns[view.x].name} and ${about.columns[view.y].name}`}, svg('path', {d: `M${P} 0V${S}H${S + P}`, fill: 'none', stroke: 'var(--edge)'}),
      svg('text', {x: P, y: S + 16}, text(x.low)), svg('text', {x: S + P, y: S + 16, 'text-anchor': 'end'}, text(x.top)), svg('text', {x: P - 4, y: S, 'text-anchor': 'end'}, text(y.low)), svg('text', {x: P - 4, y: 12, 'text-anchor': 'end'}, text(y.top)),
      x.values.map((v, i) => svg('circle', {cx: (P + 6 + x.at(v) * (S - 12)).toFixed(1), cy: (6 + (1 - y.at(y.values[i])) * (S - 12)).toFixed(1), r: 3, fill: 'var(--c1)', 'fill-opacity': 0.6}))))
  }
  // What was measured at the nearest truncation: a dot, its 95 % interval, the others as ticks.
  function drawMarks() {
    if (!about.draws) return
    const far = (t) => t.truncation === null || !Number.isFinite(t.truncation) ? MOST : t.truncation, all = about.truncations, near = all.reduce((best, t) => !best || Math.abs(far(t) - view.truncation) < Math.abs(far(best) - view.truncation) ? t : best, null)
    if (!near) return put(marks, el('h2', {}, 'Fidelity and variety'), el('p', {class: 'note'}, 'Not measured by truncation for this run.'))
    const top = Math.max(1, ...all.flatMap((t) => MARKS.map(([k]) => t[k]?.high ?? 0))), X = (v) => 4 + v / top * 88
    put(marks, el('h2', {}, 'Fidelity and variety'), el('table', {class: 'marks-of'}, el('tbody', {}, MARKS.filter(([k]) => Number.isFinite(near[k]?.value)).map(([k, name, meaning]) => el('tr', {}, el('td', {}, name, el('div', {class: 'note'}, meaning)), el('td', {class: 'num'}, written(near[k].value, near[k].low, near[k].high)), el('td', {}, svg('svg', {width: 96, height: 20, 'aria-hidden': 'true'}, svg('line', {x1: 4, x2: 92, y1: 10, y2: 10, stroke: 'var(--rule)'}), all.filter((t) => Number.isFinite(t[k]?.value)).map((t) => svg('line', {x1: X(t[k].value), x2: X(t[k].value), y1: 6, y2: 14, stroke: 'var(--base)'})),
      Number.isFinite(near[k].low) && Number.isFinite(near[k].high) ? svg('line', {x1: X(near[k].low), x2: X(near[k].high), y1: 10, y2: 10, stroke: 'var(--c1)', 'stroke-width': 8, 'stroke-opacity': 0.25}) : null, svg('circle', {cx: X(near[k].value), cy: 10, r: 4, fill: 'var(--c1)'})))))),
      el('caption', {}, `Measured at ${far(near) >= MOST ? 'the whole prior' : `|z| up to ${written(far(near))}`}, the measured truncation nearest to the slider; ticks: the others, 0 to ${written(Number(top.toFixed(1)))}. 95 % intervals.`)))
  }
  function drawCommand() {
    const words = ['elboroom sample', run().place ?? run().name, `-n ${pictures ? N : POINTS}`, `--seed ${view.seed}`, about.draws ? '' : view.mean ? '--mean' : '', view.temperature === 1 ? '' : `--temperature ${view.temperature}`, cut() === null ? '' : `--truncation ${cut()}`, view.label < 0 ? '' : `--label ${about.classes[view.label] ?? view.label}`, pictures ? '--out sheet.png' : '--out rows.csv']
    put(command, el('div', {class: 'command'}, el('code', {}, words.filter(Boolean).join(' '))))
  }
  drawBar()
  await draw()
  return {keys: {r: next}, close: () => { closed = true }}
}
