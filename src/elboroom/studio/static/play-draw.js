// Draw: a square of the data's size, and beside it what the model makes of it: its reconstruction, how unlike the data it
// is, its code, the items nearest to it. The newest drawing wins; the drawing is kept per tab.

import {el, put, button, kbd, say} from './dom.js'
import {written, took, count} from './numbers.js'
import {unpacked} from './play-drawn.js'
import {pair, facts, bars, neighbours, share} from './play-items.js'
import {go} from './app.js'

const PEN = 2, EACH_MS = 100, UNDO = 50, UNLIKE = 0.97, LARGEST = 256

export async function open(body, {id, about, ask}) {
  const [channels, h, w] = about.shape, size = h * w * channels, times = Math.max(1, Math.min(40, Math.floor(336 / Math.max(h, w)))), kept = `draw:${id}`
  let pixels = restored() ?? new Uint8Array(size), past = [], tool = 'pen', level = 255, at = [h >> 1, w >> 1], last = null, closed = false, timer = 0, sent = 0, ready = null, shown = null
  const canvas = el('canvas', {width: w, height: h, class: 'sheet paper', tabindex: 0, role: 'application', 'aria-label': `drawing, ${h} by ${w} pixels; arrows move, Space sets a pixel`, style: {width: `${w * times}px`}}), cell = el('i', {class: 'cell', hidden: true, style: {width: `${times}px`, height: `${times}px`}})
  const tools = el('div', {class: 'controls'}), said = el('p', {class: 'note', role: 'status'}), side = el('div'), rest = el('div'), file = el('input', {type: 'file', accept: 'image/*', hidden: true, onchange: () => bring(file.files[0])})
  put(body, el('div', {class: 'draw'}, el('div', {}, tools, el('div', {class: 'easel'}, canvas, cell), el('p', {class: 'note'}, `${h} × ${w} pixels, drawn ${times}×. Paste or drop a picture: it is scaled and centred as the data are.`), said, file), side, rest))
  put(side, el('p', {class: 'soft'}, 'reading the data and encoding every item'))

  function restored() {
    try {
      const found = Uint8Array.from(atob(sessionStorage.getItem(kept) ?? ''), (c) => c.charCodeAt(0))
      return found.length === size ? found : null
    } catch { return null }
  }
  const text = () => { let out = ''; for (let i = 0; i < size; i += 8192) out += String.fromCharCode(...pixels.subarray(i, i + 8192)); return btoa(out) }

  function show() {
    const image = new ImageData(w, h)
    for (let i = 0; i < h * w; i++) for (let c = 0; c < 4; c++) image.data[4 * i + c] = c === 3 ? 255 : pixels[channels === 3 ? 3 * i + c : i * channels]
    canvas.getContext('2d').putImageData(image, 0, 0)
  }
  function drawTools() {
    put(tools, el('span', {class: 'seg', role: 'group', 'aria-label': 'tool'}, ['pen', 'eraser'].map((t) => button(t, () => { tool = t; drawTools() }, {id: `tool-${t}`, 'aria-pressed': String(t === tool)}))), el('label', {}, 'level ', el('input', {type: 'range', id: 'level', min: 5, max: 255, step: 5, value: level, oninput: (e) => { level = Number(e.target.value) }})),
      button('Undo', undo, {id: 'undo', disabled: !past.length}, kbd('U')), button('Clear', () => change(() => pixels.fill(0)), {id: 'clear'}), button('A picture…', () => file.click()))
  }

  // ---- drawing --------------------------------------------------------------------------------------------------------

  function keep() {
    past = [...past, pixels.slice()].slice(-UNDO)
    if (past.length === 1) drawTools()
  }
  function change(act) {
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
    sessionStorage.setItem(kept, text())
    clearTimeout(timer)
    timer = setTimeout(send, Math.max(0, EACH_MS - (Date.now() - sent)))
  }
  // A disc with a soft edge; on black the lighter value stays, so that strokes join.
  function dab(y, x, radius = PEN / 2) {
    for (let r = Math.max(0, Math.floor(y - radius - 1)); r <= Math.min(h - 1, y + radius + 1); r++) for (let c = Math.max(0, Math.floor(x - radius - 1)); c <= Math.min(w - 1, x + radius + 1); c++) {
      const cover = Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(r + 0.5 - y, c + 0.5 - x)))
      for (let k = 0; k < channels; k++) {
        const i = (r * w + c) * channels + k
        pixels[i] = tool === 'pen' ? Math.max(pixels[i], Math.round(level * cover)) : Math.min(pixels[i], Math.round(255 * (1 - cover)))
      }
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
    if (e.button) return
    canvas.setPointerCapture(e.pointerId)
    cell.hidden = true
    keep()
    last = null
    stroke(place(e))
  })
  canvas.addEventListener('pointermove', (e) => { if (last) for (const one of e.getCoalescedEvents?.() ?? [e]) stroke(place(one)) })
  for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, () => { last = null })
  canvas.addEventListener('keydown', (e) => {
    const by = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[e.key]
    if (by) at = [Math.max(0, Math.min(h - 1, at[0] + by[0])), Math.max(0, Math.min(w - 1, at[1] + by[1]))]
    else if (e.key === ' ') change(() => { for (let k = 0; k < channels; k++) pixels[(at[0] * w + at[1]) * channels + k] = tool === 'pen' ? level : 0 })
    else return
    e.preventDefault()
    e.stopPropagation()
    drawCell()
    say(`row ${at[0] + 1}, column ${at[1] + 1}, level ${pixels[(at[0] * w + at[1]) * channels]}`)
  })
  const drawCell = () => { cell.hidden = false; Object.assign(cell.style, {top: `${at[0] * times}px`, left: `${at[1] * times}px`}) }
  canvas.addEventListener('blur', () => { cell.hidden = true })

  // ---- pictures from elsewhere ----------------------------------------------------------------------------------------

  async function bring(from) {
    if (!from) return
    try {
      const bitmap = await createImageBitmap(from), factor = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height)), W = Math.max(1, Math.round(bitmap.width * factor)), H = Math.max(1, Math.round(bitmap.height * factor)), sheet = new OffscreenCanvas(W, H), ink = sheet.getContext('2d')
      ink.fillStyle = '#fff'
      ink.fillRect(0, 0, W, H)
      ink.imageSmoothingQuality = 'high'
      ink.drawImage(bitmap, 0, 0, W, H)
      const data = ink.getImageData(0, 0, W, H).data
      let out = ''
      for (let i = 0; i < W * H; i++) out += String.fromCharCode(data[4 * i], data[4 * i + 1], data[4 * i + 2])
      const found = await ask('codes/fitted', {pixels: btoa(out), height: H, width: W})
      if (closed) return
      change(() => { pixels = unpacked(found.pixels).slice() })
      said.textContent = `Of ${from.name || 'the pasted picture'}: ${found.said}.`
    } catch (error) { if (!closed && error.name !== 'AbortError') said.textContent = error.name === 'InvalidStateError' ? 'This file is no picture that the browser can read.' : error.message }
  }
  const pasted = (e) => bring([...e.clipboardData?.files ?? []].find((f) => f.type.startsWith('image/')))
  const dropped = (e) => {
    const one = [...e.dataTransfer?.files ?? []].find((f) => f.type.startsWith('image/'))
    if (!one) return
    e.preventDefault()
    e.stopPropagation()
    document.body.classList.remove('drop')
    bring(one)
  }
  addEventListener('paste', pasted)
  body.addEventListener('drop', dropped)

  // ---- what the model says --------------------------------------------------------------------------------------------

  async function send() {
    if (!ready || closed) return
    sent = Date.now()
    if (!pixels.some((v) => v)) {
      put(side, el('p', {class: 'soft'}, 'Draw something: what the model makes of it appears here.'))
      put(rest)
      return
    }
    const began = performance.now()
    try {
      const found = await ask('codes/drawn', {pixels: text()}, {latest: 'drawn'})
      if (found.dropped || closed) return
      shown = found
      drawAnswer(performance.now() - began)
    } catch (error) { if (error.name !== 'AbortError' && !closed) said.textContent = `${error.message}${shown ? ' What stands here is of an earlier drawing.' : ''}` }
  }
  function drawAnswer(ms) {
    const f = shown, unlike = f.place.share > UNLIKE, names = f.near.map((o) => f.classes[o.label]).filter((n) => n !== undefined), first = names.length ? [...new Set(names)].map((n) => [n, names.filter((m) => m === n).length]).sort((a, b) => b[1] - a[1])[0] : null
    put(side, el('h2', {}, 'What the model makes of it'), pair(f, 'seen by the model'), facts([['Squared error a value', written(Number(f.error.toPrecision(3)))], ['that is', share(f.place)], first && ['Labels of the nearest', `${first[1]} of ${names.length} are ${first[0]}`]]),
      unlike ? el('p', {class: 'said-warn'}, '△ Unlike the data: what the model has seen cannot make this picture.') : null, el('p', {class: 'note', id: 'answered'}, `Answered in ${took(ms / 1000)}.`))
    put(rest, el('h2', {}, 'Code'), bars(f.code, f.sd), el('h2', {}, `${f.near.length} nearest items`), neighbours(f, f.classes, (k) => go(`/runs/${id}/play?what=map&item=${k}`)))
  }

  show()
  drawTools()
  ask('codes/ready').then((found) => {
    if (closed) return
    ready = found
    said.textContent = `Compared with ${found.n < found.of ? `${written(found.n, null, null, {form: 'count'})} random ones of ` : ''}${count(found.of, 'item')}.`
    send()
  }, (error) => { if (!closed && error.name !== 'AbortError') put(side, el('p', {class: 'said-bad', role: 'alert'}, error.message)) })
  return {
    keys: {u: undo, p: () => { tool = 'pen'; drawTools() }, e: () => { tool = 'eraser'; drawTools() }},
    close: () => { closed = true; clearTimeout(timer); removeEventListener('paste', pasted) },
  }
}
