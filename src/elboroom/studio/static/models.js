// Models: each with its idea, abilities, the data it reads, settings with units and sources, and two lines to start it.

import {el, put, link} from './dom.js'
import {get} from './api.js'
import {grouped, uses} from './wants.js'

const EXAMPLE = {images: 'digits', text: 'pydocs', series: 'machine', sequences: 'future'}

export async function open(main, {parts}) {
  return parts[0] ? one(main, decodeURIComponent(parts[0])) : all(main)
}

async function all(main) {
  const models = await get('/api/models')
  put(main, el('div', {class: 'head'}, el('h1', {}, 'Models'), el('span', {class: 'note'}, `${models.length}; one file each`)),
    grouped(models).map(([what, list]) => el('section', {class: 'part'}, el('h2', {}, what), el('ul', {class: 'list-of'}, list.map((m) => el('li', {}, link(`/models/${m.name}`, {}, el('b', {}, m.name)), el('p', {class: 'soft'}, m.summary),
      el('p', {class: 'note'}, `${uses(m).join(', ')}; reads ${m.kinds.join(', ')}`)))))))
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
    el('div', {class: 'prose'}, prose(m.doc)),
    el('p', {class: 'note', style: {margin: '16px 0'}}, `For: ${uses(m).join(', ') || 'nothing that this page knows'}. Reads ${m.kinds.join(', ')}. Abilities: ${m.abilities.join(', ') || 'none'}. ${m.epochs} epochs, where nothing else is said.${m.presets.length ? ` Presets: ${m.presets.join(', ')}.` : ''}`),
    el('div', {class: 'scroll'}, el('table', {class: 'columns'}, el('thead', {}, el('tr', {}, ['Setting', 'Values', 'Default', 'Meaning'].map((t) => el('th', {scope: 'col'}, t)))),
      el('tbody', {}, m.settings.map((s) => el('tr', {}, el('td', {class: 'code'}, s.flag), el('td', {class: 'code'}, s.choices.length ? s.choices.join(' | ') : range(s.type)), el('td', {class: 'code'}, shown(s.default)), el('td', {class: 'said'}, s.doc)))))),
    el('div', {class: 'command'}, el('code', {}, `elboroom fit ${m.name} ${EXAMPLE[m.kinds[0]] ?? 'table.csv'}`)), el('div', {class: 'command'}, el('code', {}, `elbo.fit("${m.name}", "${EXAMPLE[m.kinds[0]] ?? 'table.csv'}")`)))
  return {title: m.name, stream: {list: false, run: '', offset: 0}}
}

// The text of a module as paragraphs: lines joined, what is indented kept as it stands, `code` and flags unbroken.
export function prose(text) {
  const out = []
  for (const line of text.split('\n')) {
    const last = out.at(-1), kind = !line.trim() ? 'gap' : /^[-*] /.test(line) ? 'item' : /^\s/.test(line) && last?.kind !== 'item' ? 'set' : 'plain'
    if (kind === 'item') out.push({kind, lines: [line.slice(2)]})
    else if (last && kind !== 'gap' && (last.kind === kind || (last.kind === 'item' && /^\s/.test(line)))) last.lines.push(kind === 'set' ? line : line.trim())
    else out.push({kind, lines: [line]})
  }
  return out.filter(({kind}) => kind !== 'gap').map(({kind, lines}) => kind === 'set' ? el('pre', {class: 'scroll'}, lines.map((l) => l.replace(/^ {1,4}/, '')).join('\n')) : el(kind === 'item' ? 'li' : 'p', {}, inline(lines.join(' '))))
}

const inline = (text) => text.split(/(`[^`]+`|\*\*[^*]+\*\*|(?<=^|\s|\()--[a-z][\w-]*)/).map((part, i) => i % 2 === 0 ? part : part.startsWith('**') ? el('b', {}, part.slice(2, -2)) : el('code', {}, part.replaceAll('`', '')))

// "Annotated[int, Gt(0)]" as "whole number > 0"
export function range(type) {
  const words = {int: 'whole number', float: 'number', bool: 'on or off', str: 'text'}, several = {int: 'whole numbers', float: 'numbers'}
  const inner = type.match(/^tuple\[(.*), \.\.\.\]$/), found = (inner ? inner[1] : type).match(/^Annotated\[(\w+), (.*)\]$/), name = found?.[1] ?? (inner ? inner[1] : type)
  const signs = {Gt: '>', Ge: '≥', Lt: '<', Le: '≤'}, bounds = found ? [...found[2].matchAll(/(Gt|Ge|Lt|Le)\(([^)]*)\)/g)].map((m) => `${signs[m[1]]} ${m[2]}`).join(' and ') : ''
  return [inner ? `list of ${several[name] ?? name}` : words[name] ?? name, bounds].filter(Boolean).join(' ')
}
