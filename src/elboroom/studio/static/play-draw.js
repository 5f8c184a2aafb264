// Draw: a square of the data's size, and beside it what the model makes of it: its reconstruction, how unlike the data it
// is, its code, the items nearest to it. The newest drawing wins; the drawing is kept per tab.

import {el, put, button, kbd, say} from './dom.js'
import {written, took, count} from './numbers.js'
import {brought, listened, texted, kept} from './play-brought.js'
import {pair, facts, bars, neighbours, share} from './play-items.js'
import {retrying} from './play-retry.js'
import {go} from './app.js'

const PEN = 2, EACH_MS = 100, UNDO = 50, UNLIKE = 0.97

export async function open(body, {id, about, ask}) {
  const [channels, h, w] = about.shape, size = h * w * channels, times = Math.max(1, Math.min(40, Math.floor(336 / Math.max(h, w)))), name = `draw:${id}`, retry = retrying()
  let pixels = kept(name, size), past = [], tool = 'pen', ground = null, ink = null, at = [h >> 1, w >> 1], last = null, cover = null, closed = false, timer = 0, sent = 0, ready = null, shown = null
  const canvas = el('canvas', {width: w, height: h, class: 'sheet paper', tabindex: 0, role: 'application', 'aria-label': `drawing, ${h} by ${w} pixels; arrows move, Space sets a pixel`, style: {width: `${w * times}px`}}), cell = el('i', {class: 'cell', hidden: true, style: {width: `${times}px`, height: `${times}px`}})
  const tools = el('div', {class: 'controls'}), said = el('p', {class: 'note', role: 'status'}), fault = el('p', {class: 'said-warn', role: 'alert', hidden: true}), side = el('div'), rest = el('div'), file = el('input', {type: 'file', accept: 'image/*', hidden: true, onchange: () => bring(file.files[0])})
  put(body, el('div', {class: 'draw'}, el('div', {}, tools, el('div', {class: 'easel'}, canvas, cell), el('p', {class: 'note'}, `${h} × ${w} pixels, drawn ${times}×. Paste or drop a picture: it is scaled and centred as the data are.`), fault, said, file), side, rest))
  put(side, el('p', {class: 'soft'}, 'reading the data and encoding every item'))

  const hex = (colour) => `#${colour.map((v) => v.toString(16).padStart(2, '0')).join('')}`
  const blank = () => { for (let i = 0; i < size; i++) pixels[i] = ground[i % channels] }
  function show() {
    const image = new ImageData(w, h)
    for (let i = 0; i < h * w; i++) for (let c = 0; c < 4; c++) image.data[4 * i + c] = c === 3 ? 255 : pixels[channels === 3 ? 3 * i + c : i * channels]
    canvas.getContext('2d').putImageData(image, 0, 0)
  }
  function drawTools() {
    const colour = channels === 3 ? el('label', {}, 'colour ', el('input', {type: 'color', id: 'colour', value: hex(ink), oninput: (e) => { ink = [1, 3, 5].map((i) => parseInt(e.target.value.slice(i, i + 2), 16)) }})) : el('label', {}, 'level ', el('input', {type: 'range', id: 'level', min: 0, max: 255, step: 5, value: ink[0], oninput: (e) => { ink = [Number(e.target.value)] }}))
    put(tools, el('span', {class: 'seg', role: 'group', 'aria-label': 'tool'}, ['pen', 'eraser'].map((t) => button(t, () => { tool = t; drawTools() }, {id: `tool-${t}`, 'aria-pressed': String(t === tool)}))), colour,
      button('Undo', undo, {id: 'undo', disabled: !past.length}, kbd('U')), button('Clear', () => change(blank), {id: 'clear'}), button('A picture…', () => file.click()))
  }

  // ---- drawing --------------------------------------------------------------------------------------------------------

  function keep() {
    past = [...past, pixels.slice()].slice(-UNDO)
    cover = new Float32Array(h * w)
    if (past.length === 1) drawTools()
  }
  function change(act) {
    if (!ground) return
    keep()
    act()
    changed()
  }
  function undo() {
    if (!past.length) return
    pixels = past.pop()
    drawTools()
    changed()
  }
  function changed() {
    show()
    sessionStorage.setItem(name, texted(pixels))
    clearTimeout(timer)
    timer = setTimeout(send, Math.max(0, EACH_MS - (Date.now() - sent)))
  }
  // A disc with a soft edge: of what stood there before the stroke each pixel keeps what the stroke leaves bare.
  function dab(y, x, radius = PEN / 2) {
    const under = past.at(-1), colour = tool === 'pen' ? ink : ground
    for (let r = Math.max(0, Math.floor(y - radius - 1)); r <= Math.min(h - 1, y + radius + 1); r++) for (let c = Math.max(0, Math.floor(x - radius - 1)); c <= Math.min(w - 1, x + radius + 1); c++) {
      const i = r * w + c, covers = Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(r + 0.5 - y, c + 0.5 - x)))
      if (covers <= cover[i]) continue
      cover[i] = covers
      for (let k = 0; k < channels; k++) pixels[i * channels + k] = Math.round(under[i * channels + k] * (1 - covers) + colour[k] * covers)
    }
  }
  const place = (e) => { const b = canvas.getBoundingClientRect(); return [(e.clientY - b.top) / b.height * h, (e.clientX - b.left) / b.width * w] }
  function stroke(to) {
    const [y, x] = last ?? to, steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - y, to[1] - x)))
    for (let i = 0; i <= steps; i++) dab(y + (to[0] - y) * i / steps, x + (to[1] - x) * i / steps, tool === 'pen' ? PEN / 2 : PEN)
    last = to
    changed()
  }
  canvas.addEventListener('pointerdown', (e) => {
    if (e.button || !ground) return
    canvas.setPointerCapture(e.pointerId)
    cell.hidden = true
    keep()
    last = null
    stroke(place(e))
  })
  canvas.addEventListener('pointermove', (e) => { if (last) for (const one of e.getCoalescedEvents?.() ?? [e]) stroke(place(one)) })
  for (const kind of ['pointerup', 'pointercancel']) canvas.addEventListener(kind, () => { last = null })
  canvas.addEventListener('keydown', (e) => {
    const by = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[e.key], first = () => (at[0] * w + at[1]) * channels
    if (by) at = [Math.max(0, Math.min(h - 1, at[0] + by[0])), Math.max(0, Math.min(w - 1, at[1] + by[1]))]
    else if (e.key === ' ') change(() => pixels.set(tool === 'pen' ? ink : ground, first()))
    else return
    e.preventDefault()
    e.stopPropagation()
    drawCell()
    if (ground) say(`row ${at[0] + 1}, column ${at[1] + 1}, ${channels === 3 ? `colour ${hex([...pixels.subarray(first(), first() + 3)])}` : `level ${pixels[first()]}`}`)
  })
  const drawCell = () => { cell.hidden = false; Object.assign(cell.style, {top: `${at[0] * times}px`, left: `${at[1] * times}px`}) }
  canvas.addEventListener('blur', () => { cell.hidden = true })

  async function bring(from) {
    if (!from) return
    try {
      const found = await brought(from, ask)
      if (closed) return
      change(() => { pixels = found.pixels })
      said.textContent = found.said
    } catch (error) { if (!closed && error.name !== 'AbortError') said.textContent = `${error.message}.` }
  }
  const deaf = listened(body, bring)

  // ---- what the model says --------------------------------------------------------------------------------------------

  async function send() {
    if (!ready || closed) return
    sent = Date.now()
    if (pixels.every((v, i) => v === ground[i % channels])) {
      put(side, el('p', {class: 'soft'}, 'Draw something: what the model makes of it appears here.'))
      put(rest)
      return
    }
    const began = performance.now()
    try {
      const found = await ask('codes/drawn', {pixels: texted(pixels)}, {latest: 'drawn'})
      if (found.dropped || closed) return
      shown = found
      fault.hidden = true
      retry.answered(send)
      drawAnswer(performance.now() - began)
    } catch (error) {
      if (error.name === 'AbortError' || closed) return
      fault.hidden = false
      put(fault, '△ ', retry.said(error, send), shown ? 'What stands here is of an earlier drawing.' : '')
    }
  }
  function drawAnswer(ms) {
    const f = shown, unlike = f.place.share > UNLIKE, names = f.near.map((o) => f.classes[o.label]).filter((n) => n !== undefined), first = names.length ? [...new Set(names)].map((n) => [n, names.filter((m) => m === n).length]).sort((a, b) => b[1] - a[1])[0] : null
    put(side, el('h2', {}, 'What the model makes of it'), pair(f, 'seen by the model'), facts([['Squared error a value', written(Number(f.error.toPrecision(3)))], ['that is', share(f.place)], first && ['Labels of the nearest', `${first[1]} of ${names.length} are ${first[0]}`]]),
      unlike ? el('p', {class: 'said-warn'}, '△ Unlike the data: what the model has seen cannot make this picture.') : null, el('p', {class: 'note', id: 'answered'}, `Answered in ${took(ms / 1000)}.`))
    put(rest, el('h2', {}, 'Code'), bars(f.code, f.sd), el('h2', {}, `${f.near.length} nearest items`), neighbours(f, f.classes, (k) => go(`/runs/${id}/play?what=map&item=${k}`)))
  }

  async function begin() {
    try {
      if (!ground) {
        ground = (await ask('codes/paper')).ground
        if (closed) return
        ink = ground.map((v) => v < 128 ? 255 : 0)
        if (!pixels) { pixels = new Uint8Array(size); blank() }
        show()
        drawTools()
      }
      ready = await ask('codes/ready')
      if (closed) return
      fault.hidden = true
      said.textContent = `Compared with ${ready.n < ready.of ? `${written(ready.n, null, null, {form: 'count'})} random ones of ` : ''}${count(ready.of, 'item')}.`
      send()
    } catch (error) {
      if (closed || error.name === 'AbortError') return
      fault.hidden = false
      put(fault, '△ ', retry.said(error, begin))
    }
  }
  begin()
  const hold = (kind) => { if (ground) { tool = kind; drawTools() } }
  return {
    keys: {u: undo, p: () => hold('pen'), e: () => hold('eraser')},
    close: () => { closed = true; clearTimeout(timer); retry.close(); deaf() },
  }
}
