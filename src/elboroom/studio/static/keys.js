// Single keys, outside text fields only; they can be switched off (WCAG 2.1.4).

import {el} from './dom.js'

const KEYS = [
  ['/', 'find'], ['?', 'this list'], ['n', 'new run'], ['g r · g c · g s · g d · g m', 'go to runs, compare, sweeps, data, models'], ['Esc', 'close'],
  ['↑ ↓ · x · Enter · c', 'in a list: move, tick, open, compare'], ['1 … 7', 'on a run: its tabs'], ['s', 'stop a run (asks; Enter confirms)'],
  ['← →', 'in a chart: read values (with shift ×10); on samples: step; in a text: token by token (with shift: several)'], ['+ − 0', 'in a chart: zoom, whole'], ['l', 'log axis'], ['t', 'in a chart: table'], ['.', 'follow now'], ['Enter', 'in a chart: samples of that epoch'],
  ['j k · [ ]', 'on a series: next event, the one before; earlier, later'],
  ['arrows · shift · r · a b · Space', 'on the manifold: 0.05, with shift 0.5; random code; ends of the path; play it'],
  ['arrows · + − 0 · f · [ ] · b', 'on the code map: move or turn; zoom, whole; find; neighbours; choose by position'],
  ['p e u', 'on a drawing: pen, eraser, undo'],
]
const GOES = {r: '/', c: '/compare', s: '/sweeps', d: '/data', m: '/models'}
let after = ''

const off = () => localStorage.getItem('keys') === 'off'
export const typing = (node) => node?.matches?.('input:not([type=checkbox]):not([type=range]), textarea, select, [contenteditable]')
// Keys that move a slider belong to the slider that has the focus.
const slides = ({target, key}) => target?.matches?.('input[type=range]') && /^(Arrow|Page|Home$|End$)/.test(key)

export function press(event, page, go) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return
  if (event.key === 'Escape' && event.target?.matches?.('input, textarea, select, [contenteditable]')) return void event.target.blur() // it leaves the field, not the page
  if (typing(event.target) || slides(event)) return
  if (off() && event.key.length === 1 && event.key !== '?') return
  if (after === 'g') {
    after = ''
    if (GOES[event.key]) {
      event.preventDefault()
      go(GOES[event.key])
      return
    }
  }
  if (event.key === 'g') after = 'g'
  else if (event.key === '?') help()
  else if (page?.keys?.[event.key]) {
    if (page.keys[event.key](event) !== false) event.preventDefault()
  } else if (event.key === 'n') {
    event.preventDefault()
    go('/new')
  } else if (event.key === '/') {
    event.preventDefault()
    const field = document.querySelector('.find')
    field ? field.focus() : go('/')
  }
}

export function help() {
  const box = el('dialog', {'aria-label': 'keys'}, el('h2', {}, 'Keys'),
    el('dl', {}, KEYS.flatMap(([key, text]) => [el('dt', {}, el('code', {}, key)), el('dd', {}, text)])),
    el('label', {}, el('input', {type: 'checkbox', checked: !off(), onchange: (e) => localStorage.setItem('keys', e.target.checked ? 'on' : 'off')}), ' single letters act as keys'),
    el('p', {class: 'acts', style: {marginTop: '16px'}}, el('button', {type: 'button', onclick: () => box.close()}, 'Close')))
  box.addEventListener('close', () => box.remove())
  document.body.append(box)
  box.showModal()
}

// Asks once; Enter confirms, Esc does not.
export function confirm(title, text, label) {
  return new Promise((answer) => {
    const yes = el('button', {type: 'button', class: 'main', onclick: () => { answer(true); box.close() }}, label, el('kbd', {}, 'Enter'))
    const box = el('dialog', {'aria-label': title}, el('h2', {}, title), el('p', {class: 'soft', style: {margin: '8px 0 16px'}}, text),
      el('p', {class: 'acts'}, yes, el('button', {type: 'button', onclick: () => box.close()}, 'Leave it', el('kbd', {}, 'Esc'))))
    box.addEventListener('close', () => { answer(false); box.remove() })
    document.body.append(box)
    box.showModal()
    yes.focus()
  })
}
