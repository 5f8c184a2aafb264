// The frame around all pages: addresses, the bar on top, keys, dropped files. The address holds the view.

import {el, put, link, svg} from './dom.js'
import {press, help} from './keys.js'
import {listen} from './stream.js'
import {hold} from './drop.js'

const PAGES = [
  [/^\/$/, () => import('./runs.js')],
  [/^\/new$/, () => import('./runs.js')],
  [/^\/runs\/([^/]+)(?:\/([^/]+))?$/, () => import('./run.js')],
  [/^\/compare$/, () => import('./compare.js')],
  [/^\/sweeps(?:\/([^/]+))?$/, () => import('./sweep.js')],
  [/^\/data$/, () => import('./data.js')],
  [/^\/models(?:\/([^/]+))?$/, () => import('./models.js')],
]
const BAR = [['/', 'Runs'], ['/compare', 'Compare'], ['/sweeps', 'Sweeps'], ['/data', 'Data'], ['/models', 'Models']]
const main = document.getElementById('main')
let page = null, turn = 0

export function go(to, {replace = false} = {}) {
  if (to !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](null, '', to)
  return show()
}

// The view as the address has it, without drawing anew.
export function remember(values) {
  const query = new URLSearchParams(location.search)
  for (const [name, value] of Object.entries(values)) value ? query.set(name, value) : query.delete(name)
  const text = query.toString()
  history.replaceState(null, '', location.pathname + (text ? `?${text}` : ''))
}

async function show() {
  const mine = ++turn, [, load, found] = PAGES.map(([shape, load]) => [shape, load, location.pathname.match(shape)]).find((p) => p[2]) ?? []
  bar()
  if (!load) {
    put(main, el('h1', {}, 'There is nothing at this address.'), el('p', {}, link('/', {}, 'to the runs')))
    return
  }
  const made = await load()
  if (mine !== turn) return
  page?.close?.()
  page = null
  put(main)
  const next = await made.open(main, {parts: found.slice(1), query: new URLSearchParams(location.search)})
  if (mine !== turn) {
    next?.close?.()
    return
  }
  page = next
  if (next?.stream) listen(next.stream, next.events ?? {})
  if (next?.title) document.title = `${next.title} · elboroom`
}

function bar() {
  const here = location.pathname, on = (href) => href === '/' ? here === '/' || here === '/new' || here.startsWith('/runs') : here.startsWith(href)
  const logo = svg('svg', {width: 18, height: 14, viewBox: '0 0 18 14', 'aria-hidden': 'true'},
    svg('path', {d: 'M1 1V13M17 1V13M1 7H17', stroke: 'currentColor', 'stroke-width': 1.6, fill: 'none'}), svg('circle', {cx: 9, cy: 7, r: 3.4, fill: 'var(--accent)'}))
  put(document.querySelector('header.bar'), link('/', {class: 'logo', 'aria-label': 'elboroom, all runs'}, logo, el('span', {}, 'elboroom')),
    el('nav', {'aria-label': 'pages'}, BAR.map(([href, text]) => link(href, {'aria-current': on(href) ? 'page' : null}, text))),
    el('div', {class: 'end note'}, el('span', {}, 'this machine only'), el('span', {}, el('kbd', {}, '/'), ' find'),
      el('button', {type: 'button', class: 'link', onclick: help}, el('kbd', {}, '?'), ' keys')))
}

addEventListener('popstate', show)
document.addEventListener('click', (event) => {
  const a = event.target.closest?.('a[data-inside]')
  if (!a || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  event.preventDefault()
  go(a.getAttribute('href'))
})
document.addEventListener('keydown', (event) => press(event, page, go))

// Files dropped anywhere open New run with them.
document.addEventListener('dragover', (event) => {
  if (![...event.dataTransfer?.types ?? []].includes('Files')) return
  event.preventDefault()
  document.body.classList.add('drop')
})
document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) document.body.classList.remove('drop') })
document.addEventListener('drop', async (event) => {
  if (!event.dataTransfer?.items?.length) return
  event.preventDefault()
  document.body.classList.remove('drop')
  await hold(event.dataTransfer)
  if (page?.dropped) page.dropped()
  else go('/new')
})

export function toast(text, label, act, seconds = 30) {
  document.querySelector('.toast')?.remove()
  const box = el('div', {class: 'toast', role: 'status'}, text, label ? el('button', {type: 'button', onclick: () => { box.remove(); act() }}, label) : null)
  document.body.append(box)
  setTimeout(() => box.remove(), seconds * 1000)
}

show()
