// The run list, with New run as a panel over its right side.

import {el, put, link, named, button, kbd, say} from './dom.js'
import {get, post} from './api.js'
import {written, when, count} from './numbers.js'
import {state, progress, remaining} from './words.js'
import {spark} from './chart.js'
import {go, remember, toast} from './app.js'
import {panel} from './newrun.js'

let seen = null // rows by id, kept while the tab is open
const SORTS = {name: (r) => r.name, state: (r) => r.state, headline: (r) => r.headline?.value, started: (r) => r.state === 'unreadable' ? '' : r.started || '9'}

export async function open(main, {query}) {
  const isNew = location.pathname === '/new'
  const view = {text: query.get('q') ?? '', sort: query.get('sort') ?? '-started', ticked: new Set((query.get('ticked') ?? '').split(',').filter(Boolean)), at: 0}
  const listed = el('section', {class: 'listed', 'aria-label': 'runs'}), two = el('div', {class: `two${isNew ? ' open' : ''}`}, listed)
  put(main, two)
  const side = isNew ? await panel(query) : null
  if (side) two.append(side.node)
  const counted = el('span', {class: 'note', role: 'status'}), body = el('div')
  const find = el('input', {class: 'find', type: 'search', placeholder: 'state:failed model:vae data:mnist text', 'aria-label': 'filter runs', value: view.text,
    oninput: (e) => { view.text = e.target.value; remember({q: view.text}); draw() },
    onkeydown: (e) => { if (e.key === 'Escape' || e.key === 'Enter' || e.key === 'ArrowDown') { e.target.blur(); focusRow(0); e.preventDefault() } }})
  put(listed, el('div', {class: 'head'}, el('h1', {}, 'Runs'), counted, el('div', {class: 'end'}, find, link('/new', {class: 'button'}, 'New run', kbd('N')))), body)
  if (!seen) put(body, el('p', {class: 'note'}, 'reading the run folders'))
  const load = async () => {
    const answer = await get('/api/runs')
    seen = new Map(answer.runs.map((r) => [r.id, r]))
  }
  const first = load().then(draw, (error) => put(body, el('p', {class: 'said-bad'}, error.message)))
  if (seen) draw()

  function rows() {
    const words = view.text.toLowerCase().split(/\s+/).filter(Boolean)
    const fits = (r) => words.every((w) => {
      const [field, value] = w.includes(':') ? w.split(/:(.*)/) : ['', w]
      if (['state', 'model', 'data', 'name'].includes(field)) return value === 'all' || !value || String(r[field] ?? '').toLowerCase().includes(value)
      return `${r.name} ${r.model} ${r.data} ${r.state}`.toLowerCase().includes(w)
    })
    const down = view.sort.startsWith('-'), field = view.sort.replace('-', ''), value = SORTS[field] ?? SORTS.started
    return [...seen.values()].filter(fits).sort((a, b) => {
      const [p, q] = [value(a), value(b)]
      const order = p === q ? (a.name < b.name ? -1 : 1) : p === undefined ? 1 : q === undefined ? -1 : p < q ? -1 : 1
      return down ? -order : order
    })
  }

  function draw() {
    if (!seen) return
    const all = [...seen.values()], running = all.filter((r) => r.state === 'running').length, shown = rows()
    counted.textContent = `${all.length} in this folder${running ? `, ${running} running` : ''}${shown.length < all.length ? `, ${shown.length} shown` : ''}`
    if (!all.length) return put(body, empty())
    const keys = new Set(shown.map((r) => r.headline?.key).concat(shown.map((r) => r.fingerprint)))
    const alike = keys.size === 2
    const focused = document.activeElement?.closest?.('tr[data-id]')?.dataset.id
    put(body, table(shown, alike), foot())
    if (focused) body.querySelector(`tr[data-id="${focused}"]`)?.focus({preventScroll: true})
  }

  function empty() {
    return el('div', {class: 'empty'}, el('h1', {}, 'No runs yet.'),
      el('p', {}, 'Drop a file or folder anywhere on this page: images, a table, a time series or text. It is read first; nothing starts by itself.'),
      el('p', {class: 'acts'}, link('/new', {class: 'button main'}, 'New run', kbd('N')), link('/new?set=digits&model=vae&epochs=10', {}, 'Try it on digits, 20 s')))
  }

  function sorter(field, text, more = {}) {
    const on = view.sort.replace('-', '') === field, down = view.sort.startsWith('-')
    return el('th', {scope: 'col', 'aria-sort': on ? (down ? 'descending' : 'ascending') : null, ...more},
      button(`${text}${on ? (down ? ' ↓' : ' ↑') : ''}`, () => {
        const start = field === 'started' || (field === 'headline' && [...seen.values()][0]?.headline?.better === 'more') ? '-' : ''
        view.sort = on ? (down ? field : `-${field}`) : `${start}${field}`
        remember({sort: view.sort})
        draw()
      }, {id: `sort-${field}`}))
  }

  function table(shown, alike) {
    const heads = [el('th', {scope: 'col'}, el('span', {class: 'hidden'}, 'ticked')), sorter('state', 'State'), sorter('name', 'Run, model, data'),
      el('th', {scope: 'col', class: 'wide'}, 'Progress'),
      alike ? sorter('headline', 'Headline, 95 % interval', {class: 'num'}) : el('th', {scope: 'col', class: 'num'}, 'Headline, 95 % interval'),
      el('th', {scope: 'col', class: 'curve'}, 'Validation'), sorter('started', 'Started', {class: 'num when'})]
    const note = alike ? 'Runs made by the command line appear here by themselves.'
      : 'Runs made by the command line appear here by themselves. A headline is the first measure of the report; lists of unlike models are sorted by start, not by headline.'
    return el('table', {class: 'runs'}, el('caption', {}, note), el('thead', {}, el('tr', {}, heads)), el('tbody', {}, shown.map(row)))
  }

  function row(r) {
    const done = progress(r), time = remaining(r), bad = r.state === 'failed' || r.state === 'unreadable'
    const tick = el('input', {type: 'checkbox', 'aria-label': `tick ${r.name}`, checked: view.ticked.has(r.id), onchange: () => toggle(r.id), onclick: (e) => e.stopPropagation()})
    const running = r.state === 'running' || r.state === 'starting'
    return el('tr', {'data-id': r.id, tabindex: 0, class: view.ticked.has(r.id) ? 'ticked' : '', onclick: (e) => { if (!e.target.closest('a,button,input')) go(`/runs/${r.id}`) }},
      el('td', {}, r.job ? null : tick), el('td', {}, state(r.state)),
      el('td', {}, link(`/runs/${r.id}`, {class: 'name'}, named(r.name)), el('div', {}, r.model ? [r.model, ' · ', named(r.data)] : named(r.command ?? '', 60))),
      el('td', {class: 'wide'}, bad ? el('span', {class: 'bad'}, named(r.why || 'it ended without a word', 70)) : el('span', {}, done.text, time ? `, ${time} left` : ''),
        running && r.steps ? el('div', {class: 'track'}, el('i', {style: {width: `${100 * done.share}%`}})) : el('div', {}, r.state === 'stopped' ? (r.why.startsWith('Its process') ? 'its process is gone; can be resumed' : 'can be resumed') : '')),
      el('td', {class: 'num'}, r.headline ? [el('span', {title: r.headline.how ?? ''}, r.headline.text), el('div', {}, `${r.headline.label}${r.headline.unit ? `, ${r.headline.unit}` : ''}`)] : el('span', {class: 'note'}, bad ? '' : 'none yet')),
      el('td', {class: 'curve'}, spark(r.curve, running ? 'var(--accent)' : bad ? 'var(--bad)' : 'var(--ink-2)')), el('td', {class: 'num when note'}, when(r.started)))
  }

  function toggle(id) {
    view.ticked.has(id) ? view.ticked.delete(id) : view.ticked.add(id)
    remember({ticked: [...view.ticked].join(',')})
    draw()
  }

  function foot() {
    const chosen = [...view.ticked].map((id) => seen.get(id)).filter(Boolean)
    if (!chosen.length) return null
    const same = new Set(chosen.map((r) => r.fingerprint)).size === 1
    return el('div', {class: 'foot', role: 'region', 'aria-label': 'ticked runs'}, el('b', {}, `${count(chosen.length, 'run')} ticked`),
      el('span', {class: 'soft'}, chosen.map((r) => r.name).join(', '), chosen.length > 1 ? (same ? ': same data' : ': different data, so little can be compared') : ''),
      el('div', {class: 'end'}, button('Untick', () => { view.ticked.clear(); remember({ticked: ''}); draw() }), button('Move to the bin', bin),
        button('Compare', compare, {class: 'main', disabled: chosen.length < 2 || chosen.length > 8})))
  }

  function compare() {
    const ids = [...view.ticked].filter((id) => seen.has(id))
    if (ids.length > 1) go(`/compare?runs=${ids.join(',')}`)
  }

  async function bin() {
    try {
      const ids = [...view.ticked].filter((id) => seen.has(id)), moved = await post('/api/bin', {runs: ids})
      view.ticked.clear()
      remember({ticked: ''})
      await load()
      draw()
      toast(`${count(moved.length, 'run')} moved to the bin`, 'Undo', async () => {
        await post('/api/bin/restore', {tokens: moved.map((m) => m.token)})
        await load()
        draw()
      })
    } catch (error) { toast(error.message) }
  }

  function focusRow(i) {
    const all = [...body.querySelectorAll('tr[data-id]')]
    all[Math.max(0, Math.min(all.length - 1, i))]?.focus()
  }
  const here = () => document.activeElement?.closest?.('tr[data-id]')
  const index = () => [...body.querySelectorAll('tr[data-id]')].indexOf(here())

  await first
  return {
    title: isNew ? 'New run' : 'Runs',
    stream: {list: true, run: '', offset: 0},
    events: {
      runs: ({changed, ids}) => {
        if (!seen) return
        for (const r of changed) {
          const before = seen.get(r.id)
          if (before && before.state !== r.state) say(`${r.name}: ${r.state}`)
          seen.set(r.id, r)
        }
        for (const id of [...seen.keys()]) if (!ids.includes(id)) seen.delete(id)
        draw()
      },
    },
    keys: {
      ArrowDown: () => focusRow(index() + 1),
      ArrowUp: () => focusRow(Math.max(0, index() - 1)),
      x: () => here() && toggle(here().dataset.id),
      c: compare,
      Enter: () => here() && document.activeElement === here() ? void go(`/runs/${here().dataset.id}`) : false,
      Escape: () => { if (isNew) go('/') },
    },
    dropped: () => isNew ? side.dropped() : go('/new'),
    close: () => side?.close(),
  }
}
