// An item as the map and the drawing page show it: its picture or its cells, its code, its neighbours.

import {el, svg, put, named} from './dom.js'
import {written} from './numbers.js'
import {unpacked} from './play-drawn.js'

const CELLS = 40

// Pictures (n, height, width[, 3]), or one without n, as a sheet of whole multiples of their pixels.
export function sheet(packed, {columns = 1, factor = 0, most = 148, label = ''} = {}) {
  const shape = packed.shape.at(-1) === 3 && packed.shape.length > 2 ? packed.shape.slice(0, -1) : packed.shape, [h, w] = shape.slice(-2), n = shape.length > 2 ? shape[0] : 1, across = Math.min(columns, n)
  const bytes = unpacked(packed), deep = bytes.length / (n * h * w), canvas = el('canvas', {width: across * w, height: Math.ceil(n / across) * h, class: 'sheet', role: 'img', 'aria-label': label}), times = factor || Math.max(1, Math.floor(most / (across * w)))
  const image = new ImageData(canvas.width, canvas.height)
  for (let i = 0; i < n; i++) for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const from = ((i * h + y) * w + x) * deep, to = 4 * ((Math.floor(i / across) * h + y) * canvas.width + (i % across) * w + x)
    for (let c = 0; c < 3; c++) image.data[to + c] = bytes[from + (deep === 3 ? c : 0)]
    image.data[to + 3] = 255
  }
  canvas.getContext('2d').putImageData(image, 0, 0)
  canvas.style.width = `${canvas.width * times}px`
  return canvas
}

// Lines over a sheet, between its pictures of w by h pixels of the screen.
export const lined = (canvas, w, h) => el('div', {class: 'lined'}, canvas, el('div', {style: {backgroundSize: `${w}px ${h}px`}}))

export function share({share: s, n, part}) {
  const of = `${written(n, null, null, {form: 'count'})} held-out items (${part})`, more = s >= 0.5, much = more ? s : 1 - s
  return `${more ? 'more' : 'less'} than ${much === 1 ? 'any' : written(Math.floor(100 * much) / 100, null, null, {form: 'share', decimals: 0})} of ${of}`
}

// Item and decoded mean side by side, as pictures or as cells.
export function pair(found, name) {
  if (found.x.shape) return el('div', {class: 'pair'}, [['x', name], ['decoded', 'decoded mean']].filter(([k]) => found[k]).map(([k, text]) => el('figure', {}, sheet(found[k], {label: text}), el('figcaption', {class: 'note'}, text))))
  const said = (cell) => !cell || cell.value === null ? 'none' : cell.category || written(cell.value)
  return el('table', {}, el('thead', {}, el('tr', {}, ['Column', 'Here', found.decoded ? 'Decoded' : ''].map((t, i) => el('th', {scope: 'col', class: i ? 'num' : ''}, t)))), el('tbody', {}, found.x.cells.slice(0, CELLS).map((cell, i) => el('tr', {}, el('td', {}, named(cell.name, 30)), el('td', {class: 'num'}, named(said(cell), 20)), el('td', {class: 'num'}, found.decoded ? named(said(found.decoded.cells[i]), 20) : '')))),
    found.x.of > CELLS ? el('caption', {}, `the first ${CELLS} of ${found.x.of} columns`) : null)
}

export const facts = (rows) => el('table', {class: 'facts-of'}, el('tbody', {}, rows.filter(Boolean).map(([a, b]) => el('tr', {}, el('td', {class: 'soft'}, a), el('td', {class: 'num'}, b)))))

// The mean of each dimension, a whisker of one standard deviation each way.
export function bars(code, sd) {
  const z = unpacked(code), s = sd ? unpacked(sd) : z.map(() => 0), n = Math.min(z.length, 64), W = 400, H = 96, step = W / n
  const top = Math.max(1, ...Array.from({length: n}, (_, i) => Math.abs(z[i]) + s[i])), y = (v) => H / 2 - v / top * (H / 2 - 6)
  const told = `${n < z.length ? `the first ${n} of ${z.length}: ` : ''}${Array.from({length: Math.min(n, 20)}, (_, i) => `${i + 1}: ${written(Number(z[i].toPrecision(3)))}`).join(', ')}`
  return [svg('svg', {viewBox: `0 0 ${W} ${H + 14}`, class: 'bars', role: 'img', 'aria-label': `code, ${told}`}, svg('line', {x1: 0, x2: W, y1: H / 2, y2: H / 2, stroke: 'var(--edge)'}),
    Array.from({length: n}, (_, i) => [svg('rect', {x: i * step + step * 0.15, width: Math.min(40, step * 0.7), y: Math.min(y(0), y(z[i])), height: Math.max(0.5, Math.abs(y(z[i]) - y(0))), fill: 'var(--c1)'}, svg('title', {}, `${i + 1}: ${written(z[i])}`)), s[i] > 0 ? svg('line', {x1: i * step + step * 0.15 + Math.min(20, step * 0.35), x2: i * step + step * 0.15 + Math.min(20, step * 0.35), y1: y(z[i] - s[i]), y2: y(z[i] + s[i]), stroke: 'var(--ink-2)'}) : null,
      n <= 24 ? svg('text', {x: i * step + step * 0.15 + Math.min(20, step * 0.35), y: H + 12, 'text-anchor': 'middle'}, i + 1) : null])), el('p', {class: 'note'}, `mean of each dimension${n < z.length ? `, the first ${n} of ${z.length}` : ''}, ± ${written(Number(top.toPrecision(2)))}${s.some((v) => v) ? '; whisker: one standard deviation' : ''}`)]
}

// Neighbours as pictures, or as a list; `pick` is called with the number of one.
export function neighbours(found, classes, pick) {
  const name = (o) => o.label === null ? '' : classes[o.label] ?? String(o.label), near = found.near, w = found.pictures.shape ? found.pictures.shape[2] : 0, factor = w ? Math.max(1, Math.floor(48 / w)) : 0
  const one = (i) => found.pictures.shape ? sheet({...found.pictures, ...cut(found.pictures, i)}, {factor, label: ''}) : null
  const ends = [near[0], near.at(-1)].filter(Boolean).map((o) => written(Number(o.distance.toPrecision(2))))
  return [el('div', {class: 'near'}, near.map((o, i) => el('button', {type: 'button', title: `item ${o.item}, ${o.part}, distance ${written(o.distance)}`, 'aria-label': `item ${o.item}${name(o) ? `, label ${name(o)}` : ''}`, onclick: () => pick(o.item)}, one(i), el('span', {class: 'note'}, named(name(o) || o.item, 10))))),
    el('p', {class: 'note'}, near.length ? `Distances ${ends.join(' to ')}; from an item to its nearest other one the median is ${written(Number(found.spacing.median.toPrecision(2)))} (${found.spacing.n} items).` : 'There is no other item.')]
}

function cut({shape, bytes}, i) {
  const size = shape.slice(1).reduce((a, b) => a * b, 1), text = atob(bytes)
  return {shape: shape.slice(1), bytes: btoa(text.slice(i * size, (i + 1) * size))}
}
