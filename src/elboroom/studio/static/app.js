// The frame around all pages: addresses, the bar on top, keys, dropped files. The address holds the view.

import {el, put, link, svg} from './dom.js'
import {press, help} from './keys.js'
import {listen, mute} from './stream.js'
import {hold} from './drop.js'
import {Failure} from './api.js'

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
const LIST = ['q', 'sort', 'ticked', 'open'] // what the address says of the run list
let page = null, turn = 0, settled = 0, path = '', list = []

export function go(to, {replace = false} = {}) {
  keepList()
  const there = withList(to)
  if (there !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](null, '', there)
  return show()
}

const isList = (pathname) => pathname === '/' || pathname === '/new'

// The list is found again as it was left: filtered, sorted, ticked.
function keepList() {
  const here = [...new URLSearchParams(location.search)].filter(([name]) => LIST.includes(name))
  if (location.pathname === '/' || (isList(location.pathname) && here.length)) list = here
}
function withList(to) {
  const url = new URL(to, location.href)
  if (!isList(url.pathname) || LIST.some((name) => url.searchParams.has(name))) return to
  for (const [name, value] of list) url.searchParams.set(name, value)
  return url.pathname + url.search
}

// The view as the address has it, without drawing anew. What is chosen is `push`ed, so that going back undoes it.
export function remember(values, {push = false} = {}) {
  if (settled !== turn) return // the address is another page's already
  const query = new URLSearchParams(location.search)
  for (const [name, value] of Object.entries(values)) value ? query.set(name, value) : query.delete(name)
  const text = query.toString(), to = location.pathname + (text ? `?${text}` : '')
  if (to !== location.pathname + location.search) history[push ? 'pushState' : 'replaceState'](null, '', to)
}

async function show() {
  const mine = ++turn, [, load, found] = PAGES.map(([shape, load]) => [shape, load, location.pathname.match(shape)]).find((p) => p[2]) ?? []
  bar()
  if (!load) {
    close()
    put(main, el('h1', {}, 'There is nothing at this address.'), el('p', {}, link('/', {}, 'to the runs')))
    return
  }
  const place = el('div'), here = location.pathname, held = document.activeElement?.id // a page that comes late draws where nobody looks
  let next = null
  try {
    const made = await load().catch(() => { throw new Failure(0, 'its script did not come') })
    if (mine !== turn) return
    close()
    settled = mine
    put(main, place)
    next = await made.open(place, {parts: found.slice(1), query: new URLSearchParams(location.search)})
  } catch (error) {
    if (mine !== turn) return
    close()
    if (!(error instanceof Failure)) reportError(error)
    const gone = error.status === 0
    return void put(main, el('h1', {}, gone ? 'The studio does not answer.' : 'This page cannot be shown.'), el('p', {class: 'soft', role: 'alert'}, gone ? 'Is it still running in its window? Trainings go on without it, and are listed again when it is back.' : error.message),
      el('p', {class: 'acts', style: {marginTop: '16px'}}, el('button', {type: 'button', class: 'main', onclick: show}, 'Try again'), link('/', {}, 'to the runs')))
  }
  if (mine !== turn) {
    next?.close?.()
    return
  }
  page = next
  path = here
  if (held && document.activeElement === document.body) document.getElementById(held)?.focus({preventScroll: true})
  listen(next?.stream ?? {list: false, run: '', offset: 0}, next?.events ?? {})
  if (next?.title) document.title = `${next.title} · elboroom`
}

function close() {
  mute()
  page?.close?.()
  page = null
  path = ''
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

addEventListener('popstate', () => {
  if (page?.told && path === location.pathname) page.told(new URLSearchParams(location.search))
  else show()
})
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
  if (![...event.dataTransfer?.types ?? []].includes('Files')) return // text goes where it was dropped
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
