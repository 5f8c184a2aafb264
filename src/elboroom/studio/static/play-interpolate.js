// From one item to another, through the code and, as the baseline beside it, through their values.

import {el, svg, put, named, button, kbd} from './dom.js'
import {written, count} from './numbers.js'
import {brought, listened, texted, kept} from './play-brought.js'
import {unpacked} from './play-drawn.js'
import {sheet} from './play-items.js'
import {retrying} from './play-retry.js'

const LINES = 24

export async function open(body, {id, query, run, ask, remember}) {
  const about = await ask('images/about'), items = about.encodes, pictures = about.kind === 'images', K = about.columns.length, wide = pictures ? about.shape[2] : 0, high = pictures ? about.shape[1] : 0
  const whole = (name, usual) => /^\d+$/.test(query.get(name) ?? '') ? Number(query.get(name)) : usual
  const view = {a: whole('a', 0), b: whole('b', 1), way: query.get('way') === (items ? 'sphere' : 'straight') ? query.get('way') : items ? 'straight' : 'sphere', at: whole('at', 6), steps: 13, seed: whole('seed', 0), label: whole('label', 0)}
  // An end that is a picture of one's own is kept by the tab; the address says that it is one.
  const stored = (name) => `between:${id}:${name}`, own = Object.fromEntries(['a', 'b'].map((name) => [name, items && pictures && query.get(name) === 'own' ? kept(stored(name), wide * high * about.shape[0]) : null])), retry = retrying()
  const numbers = about.columns.map((c, k) => [c, k]).filter(([c]) => !c.categories.length)
  let found = null, closed = false, turn = 'a', into = 'a', done = ''
  const file = el('input', {type: 'file', accept: 'image/*', hidden: true, onchange: () => { if (file.files[0]) bring(file.files[0], into); file.value = '' }})
  const bar = el('div', {class: 'controls'}), note = el('p', {class: 'note', role: 'status', style: {marginBottom: '12px'}}), strips = el('div'), here = el('div', {class: 'pair-of'}, el('p', {class: 'note'}, 'Reading the data.')), said = el('p', {class: 'said-bad', role: 'alert', hidden: true})
  put(body, bar, note, said, strips, here, file)
  const what = items ? 'item' : 'draw', made = items ? 'Decoded' : 'Made', keep = () => remember({a: own.a ? 'own' : String(view.a), b: own.b ? 'own' : String(view.b), at: view.at === 6 ? '' : String(view.at), way: view.way, seed: view.seed ? String(view.seed) : '', label: view.label ? String(view.label) : ''})

  function drawBar() {
    const field = (name, text) => el('label', {}, text, el('input', {type: 'number', min: 0, step: 1, id: name, value: own[name] ? '' : view[name], placeholder: own[name] ? 'a picture' : '', onchange: (e) => {
      if (!/^\d+$/.test(e.target.value)) return
      view[name] = Number(e.target.value)
      if (name in own) own[name] = null
      load()
    }}))
    const picked = (name) => items && pictures ? button('a picture…', () => { into = name; file.click() }, {id: `picture-${name}`, 'aria-label': `a picture as the ${name === 'a' ? 'first' : 'second'} end`}) : null
    put(note, items && pictures ? ['Drop a picture on the left half of the page as the first end, on the right half as the second; pasted ones take turns. It is scaled and centred as the data are. ', done] : null)
    note.hidden = !note.childNodes.length
    put(bar, field('a', `from ${what}`), picked('a'), field('b', `to ${what}`), picked('b'), items ? null : field('seed', 'seed'),
      about.asked ? el('label', {}, 'class', el('select', {id: 'label', onchange: (e) => { view.label = Number(e.target.value); load() }}, Array.from({length: about.asked}, (_, i) => el('option', {value: i, selected: i === view.label}, about.classes[i] ?? i)))) : null,
      button('Two at random', random, {id: 'random'}, kbd('R')), button('Turn round', () => { [view.a, view.b] = [view.b, view.a]; [own.a, own.b] = [own.b, own.a]; store(); drawBar(); load() }),
      el('div', {class: 'seg', role: 'group', 'aria-label': 'way'}, ['straight', 'sphere'].map((w) => button(w, () => { view.way = w; drawBar(); load() }, {'aria-pressed': String(view.way === w), id: `way-${w}`}))))
  }
  const store = () => { for (const name of ['a', 'b']) own[name] ? sessionStorage.setItem(stored(name), texted(own[name])) : sessionStorage.removeItem(stored(name)) }
  async function bring(from, name) {
    try {
      const made = await brought(from, ask)
      if (closed) return
      own[name] = made.pixels
      turn = name === 'a' ? 'b' : 'a'
      done = made.said
      store()
      drawBar()
      load()
    } catch (error) { if (!closed && error.name !== 'AbortError') { done = `${error.message}.`; drawBar() } }
  }
  const deaf = items && pictures ? listened(body, (from, e) => bring(from, e.type === 'paste' ? turn : e.clientX < innerWidth / 2 ? 'a' : 'b')) : () => {}
  function random() {
    const n = found?.of ?? 64
    view.a = Math.floor(Math.random() * n)
    view.b = Math.floor(Math.random() * n)
    own.a = own.b = null
    drawBar()
    load()
  }
  async function load() {
    keep()
    try {
      const answer = await ask('images/between', {a: view.a, b: view.b, steps: view.steps, way: view.way, seed: view.seed, ...(about.asked ? {label: view.label} : {}), ...(own.a ? {picture_a: texted(own.a)} : {}), ...(own.b ? {picture_b: texted(own.b)} : {})}, {latest: 'between'})
      if (answer.dropped || closed) return
      found = answer
      said.hidden = true
      retry.answered(load)
    } catch (error) {
      if (error.name === 'AbortError' || closed) return
      said.hidden = false
      put(said, '× ', retry.said(error, load), found ? 'What is shown is the last that was there.' : '')
      return
    }
    drawStrips()
    drawHere()
  }
  const end = (i) => {
    const one = found.ends[i], label = one.label ?? null
    if (one.picture) return 'a picture of your own'
    return [`${what} ${one.item ?? one.draw}`, label === null ? '' : [', ', named(about.classes[label] ?? label, 20)], one.part ? el('span', {class: 'note'}, ` ${one.part}`) : null]
  }
  function drawStrips() {
    const n = view.steps, factor = wide ? Math.max(1, Math.min(wide < 16 ? 6 : 4, Math.floor((body.clientWidth - 8) / (n * wide)))) : 0
    const range = el('input', {type: 'range', min: 0, max: n - 1, step: 1, value: view.at, id: 'at', 'aria-label': 'step', style: {width: wide ? `${n * wide * factor}px` : 'min(100%, 640px)'}, oninput: (e) => { view.at = Number(e.target.value); drawHere(); keep() }})
    const row = (title, packed, note) => el('section', {class: 'part'}, el('h2', {}, title, el('span', {class: 'note'}, note)), el('div', {class: 'scroll'}, sheet(packed, {columns: n, factor, label: title})))
    put(strips, el('p', {class: 'soft', style: {marginBottom: '12px'}}, 'From ', end(0), ' to ', end(1)), pictures ? [row(made, found.x, `${items ? 'means' : 'pictures'} on the ${view.way === 'sphere' ? 'great circle' : 'straight line'} between ${items ? 'the two codes' : 'the two z'}`), row('Cross-fade', found.fade, `the plain mixture of the pixels of the two ${items ? 'ends' : 'draws'}: the baseline`)] : lines(), el('p', {class: 'scroll'}, range))
  }
  // Of a table: each column along the way, the mixture in grey.
  function lines() {
    const x = unpacked(found.x), fade = unpacked(found.fade), W = 160, H = 56, n = view.steps
    return el('div', {class: 'small'}, numbers.slice(0, LINES).map(([c, k]) => {
      const of = (all) => Array.from({length: n}, (_, i) => all[i * K + k]), both = [...of(x), ...of(fade)], low = Math.min(...both), top = Math.max(...both), y = (v) => top > low ? H - 4 - (v - low) / (top - low) * (H - 8) : H / 2
      const line = (all, css) => svg('polyline', {points: of(all).map((v, i) => `${4 + i * (W - 8) / (n - 1)},${y(v).toFixed(1)}`).join(' '), class: css})
      return el('figure', {}, el('figcaption', {class: 'note'}, named(c.name, 24)), svg('svg', {width: W, height: H, role: 'img', 'aria-label': `${c.name}, decoded along the way`}, line(fade, 'plain'), line(x, 'made')))
    }), el('p', {class: 'note'}, `${numbers.length > LINES ? `The first ${LINES} of ${numbers.length} columns. ` : ''}${numbers.length < K ? 'Categories have no line; the table has them. ' : ''}Thick line: decoded; thin line: the mixture of the two rows, the baseline.`))
  }
  function drawHere() {
    if (!found) return
    const k = Math.min(view.at, view.steps - 1), share = written(k / (view.steps - 1), null, null, {form: 'share', decimals: 0})
    const one = ({shape, bytes}) => {
      const size = shape.slice(1).reduce((a, b) => a * b, 1)
      return sheet({shape: shape.slice(1), dtype: 'uint8', bytes: btoa(atob(bytes).slice(k * size, (k + 1) * size))}, {factor: Math.max(1, Math.min(8, Math.floor(224 / Math.max(wide, high)))), label: 'at this step'})
    }
    // Between two categories there is none: a mixture has the name of its nearer end.
    const x = unpacked(found.x), fade = unpacked(found.fade), nearer = k < view.steps / 2 ? 0 : view.steps - 1, value = (c, v) => c.categories.length ? named(c.categories[Math.round(v)] ?? v, 20) : written(Number(v.toPrecision(4)))
    put(here, pictures ? [[made, found.x], ['Cross-fade', found.fade]].map(([text, packed]) => el('figure', {}, one(packed), el('figcaption', {class: 'note'}, `${text}, ${share} of the way`)))
      : el('table', {}, el('thead', {}, el('tr', {}, ['Column', 'Decoded', 'Mixture of the two rows'].map((t, i) => el('th', {scope: 'col', class: i ? 'num' : ''}, t)))), el('tbody', {}, about.columns.slice(0, LINES).map((c, i) => el('tr', {}, el('td', {}, named(c.name, 30)), el('td', {class: 'num'}, value(c, x[k * K + i])), el('td', {class: 'num'}, value(c, fade[(c.categories.length ? nearer : k) * K + i]))))), el('caption', {}, `${share} of the way${numbers.length < K ? '; of a category the mixture has the nearer end’s' : ''}`)),
    el('div', {}, el('p', {class: 'note'}, `${items ? 'Items' : 'Draws'} are numbered from 0 to ${written(found.of - 1, null, null, {form: 'count'})}${items ? ', as rows of the input' : `: the first ${count(found.of, 'draw')} of the seed`}. ${pictures ? 'Where the cross-fade shows two things at once and the row above it shows one, the code has found a way that the pixels have not.' : 'Where what is decoded leaves the mixture of the two rows, the code has found a way of its own.'}`)))
  }
  const step = (by) => (event) => {
    if (event.target.matches?.('input, select') || !found) return false
    view.at = Math.max(0, Math.min(view.steps - 1, view.at + by))
    drawStrips()
    drawHere()
    keep()
  }
  drawBar()
  await load()
  return {keys: {ArrowLeft: step(-1), ArrowRight: step(1), r: random}, close: () => { closed = true; retry.close(); deaf() }}
}
