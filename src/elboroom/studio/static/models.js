// Models: each with its idea, abilities, the data it reads, settings with units and sources, and two lines to start it.

import {el, put, link} from './dom.js'
import {get} from './api.js'

const EXAMPLE = {images: 'digits', text: 'pydocs', series: 'machine', sequences: 'future'}

export async function open(main, {parts}) {
  return parts[0] ? one(main, decodeURIComponent(parts[0])) : all(main)
}

async function all(main) {
  const models = await get('/api/models')
  put(main, el('div', {class: 'head'}, el('h1', {}, 'Models'), el('span', {class: 'note'}, `${models.length}; one file each`)),
    el('ul', {class: 'list-of'}, models.map((m) => el('li', {}, link(`/models/${m.name}`, {}, el('b', {}, m.name)), el('p', {class: 'soft'}, m.summary),
      el('p', {class: 'note'}, `reads ${m.kinds.join(', ')}; ${m.abilities.join(', ')}`)))))
  return {title: 'Models', stream: {list: false, run: '', offset: 0}}
}

async function one(main, name) {
  let m
  try { m = await get(`/api/models/${encodeURIComponent(name)}`) } catch (error) {
    put(main, el('p', {class: 'said-bad'}, error.message), link('/models', {}, 'all models'))
    return {title: 'Models'}
  }
  const shown = (v) => Array.isArray(v) ? v.join(',') || 'none' : v === true ? 'on' : v === false ? 'off' : String(v)
  put(main, el('p', {class: 'crumb'}, link('/models', {}, 'Models')), el('div', {class: 'head'}, el('h1', {}, m.name), el('div', {class: 'end'}, link(`/new?model=${m.name}`, {class: 'button main'}, 'New run with it'))),
    el('p', {class: 'mono-lines', style: {maxWidth: '80ch'}}, m.doc),
    el('p', {class: 'note', style: {margin: '16px 0'}}, `Reads ${m.kinds.join(', ')}. Abilities: ${m.abilities.join(', ') || 'none'}. ${m.epochs} epochs, where nothing else is said.${m.presets.length ? ` Presets: ${m.presets.join(', ')}.` : ''}`),
    el('table', {}, el('thead', {}, el('tr', {}, ['Setting', 'Values', 'Default', 'Meaning'].map((t) => el('th', {scope: 'col'}, t)))),
      el('tbody', {}, m.settings.map((s) => el('tr', {}, el('td', {class: 'code'}, s.flag), el('td', {class: 'code'}, s.choices.length ? s.choices.join(' | ') : range(s.type)), el('td', {class: 'code'}, shown(s.default)), el('td', {}, s.doc))))),
    el('div', {class: 'command'}, el('code', {}, `elboroom fit ${m.name} ${EXAMPLE[m.kinds[0]] ?? 'table.csv'}`)), el('div', {class: 'command'}, el('code', {}, `elbo.fit("${m.name}", "${EXAMPLE[m.kinds[0]] ?? 'table.csv'}")`)))
  return {title: m.name, stream: {list: false, run: '', offset: 0}}
}

// "Annotated[int, Gt(0)]" as "int > 0"
export function range(type) {
  const inner = type.match(/^tuple\[(.*), \.\.\.\]$/), found = (inner ? inner[1] : type).match(/^Annotated\[(\w+), (.*)\]$/)
  if (!found) return inner ? `list of ${inner[1]}` : type
  const signs = {Gt: '>', Ge: '≥', Lt: '<', Le: '≤'}
  const text = `${found[1]} ${[...found[2].matchAll(/(Gt|Ge|Lt|Le)\(([^)]*)\)/g)].map((m) => `${signs[m[1]]} ${m[2]}`).join(' and ')}`
  return inner ? `list of ${text}` : text
}
