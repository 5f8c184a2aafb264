// What the play pages share: arrays that come packed, and the reports' drawings, grown from plain lists.

import {svg} from './dom.js'

const KINDS = {uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array, float32: Float32Array, float64: Float64Array}
const TAGS = new Set(['svg', 'g', 'path', 'rect', 'circle', 'text', 'title'])

// {dtype, shape, bytes} as one typed array, row after row.
export const unpacked = ({dtype, bytes}) => new KINDS[dtype](Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0)).buffer)

// A colour of the ramp "seq" or "div" at a share from 0 to 1.
export function ramp(name, share) {
  const last = name === 'seq' ? 8 : 10, at = Math.max(0, Math.min(1, share)) * last, below = Math.min(last - 1, Math.floor(at))
  return `color-mix(in oklab, var(--${name}${below + 2}) ${((at - below) * 100).toFixed(1)}%, var(--${name}${below + 1}))`
}

// [tag, attributes, child, ...] as SVG elements; steps of a ramp, q0 to q32 and d0 to d32, become their colour.
export function grown([tag, attributes, ...children]) {
  if (!TAGS.has(tag)) return ''
  const step = /\bf-([qd])(\d+)/.exec(attributes.class ?? '')
  return svg(tag, step ? {...attributes, fill: ramp(step[1] === 'q' ? 'seq' : 'div', step[2] / 32)} : attributes, children.map((c) => Array.isArray(c) ? grown(c) : c))
}
