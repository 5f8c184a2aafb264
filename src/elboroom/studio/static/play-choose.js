// Items chosen by their place on the map: within a line drawn round them, or within a box given in numbers.

import {el, put, button} from './dom.js'

// Of n places (x, y, z each) those whose turned x and y lie within the polygon.
export function inPolygon(P, n, polygon, t) {
  const ends = [0, 1].map((d) => polygon.map((p) => p[d])), [x0, x1, y0, y1] = [Math.min(...ends[0]), Math.max(...ends[0]), Math.min(...ends[1]), Math.max(...ends[1])], inside = []
  for (let i = 0; i < n; i++) {
    const x = t[0] * P[3 * i] + t[3] * P[3 * i + 1] + t[6] * P[3 * i + 2], y = t[1] * P[3 * i] + t[4] * P[3 * i + 1] + t[7] * P[3 * i + 2]
    if (x < x0 || x > x1 || y < y0 || y > y1) continue
    let within = false
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) if (polygon[a][1] > y !== polygon[b][1] > y && x < (polygon[b][0] - polygon[a][0]) * (y - polygon[a][1]) / (polygon[b][1] - polygon[a][1]) + polygon[a][0]) within = !within
    if (within) inside.push(i)
  }
  return inside
}

// Those within [x from, x to, y from, y to, z from, z to].
export function inBox(P, n, box) {
  const inside = []
  for (let i = 0; i < n; i++) if ([0, 1, 2].every((k) => P[3 * i + k] >= box[2 * k] && P[3 * i + k] <= box[2 * k + 1])) inside.push(i)
  return inside
}

// Its twelve edges, from corner to corner.
export function edges(box) {
  const corner = (c) => [0, 1, 2].map((k) => box[2 * k + (c >> k & 1)])
  return Array.from({length: 8}, (_, c) => [1, 2, 4].filter((k) => !(c & k)).map((k) => [corner(c), corner(c | k)])).flat()
}

// Fields from and to of each axis; choose([[from, to], ...]) with the smaller number first.
export function fields(into, ranges, choose) {
  const given = ranges.map((range, k) => range.map((v, j) => el('input', {type: 'number', step: 'any', 'aria-label': `${'xyz'[k]} ${j ? 'to' : 'from'}`, id: `${'xyz'[k]}-${j ? 'to' : 'from'}`, value: v.toFixed(2)})))
  put(into, el('h2', {}, 'Choose by position'), given.map((pair, k) => el('div', {class: 'controls'}, el('label', {}, `${'xyz'[k]} from `, pair[0]), el('label', {}, 'to ', pair[1]))),
    button('Choose', () => choose(given.map((pair) => pair.map((f) => Number(f.value)).sort((a, b) => a - b))), {id: 'choose-these'}))
  given[0][0].focus()
}
