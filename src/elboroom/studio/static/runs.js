// The run list, with New run as a panel over its right side. Rows stay the same nodes while they are filled anew, so that
// neither a press nor the keyboard's place is lost. A sweep is one row, which can be unfolded.

import {el, put, held, text, link, named, button, kbd, say} from './dom.js'
import {get, post} from './api.js'
import {when, count, took} from './numbers.js'
import {state, progress, remaining} from './words.js'
import {spark} from './chart.js'
import {save, csv} from './saved.js'
import {go, remember, toast} from './app.js'
import {panel} from './newrun.js'

const FEW = 5, NAMED = 8, MOST = 20, SWEEPS_MS = 3000, FIRST = 60, MORE = 200 // rows drawn at first, and as the end comes into sight
const EMPTY = 'Drop a file or folder anywhere on this page: images, a table, a time series or text. It is read first; nothing starts by itself.'
const FIELDS = ['state', 'model', 'data', 'name']
let seen = null, stamp = '', folder = '', sweeps = [] // rows by id, kept while the tab is open
const began = (r) => Date.parse(r.started) || 1000 * (r.started_s ?? 0) || undefined
const SORTS = {name: (r) => r.name, state: (r) => r.state, headline: (r) => r.headline?.value, started: began}
const listed = (query, name) => new Set((query.get(name) ?? '').split(',').filter(Boolean))
const viewed = (query) => ({text: query.get('q') ?? '', sort: query.get('sort') ?? '-started', ticked: listed(query, 'ticked'), open: listed(query, 'open')})

export async function open(main, {query}) {
  const isNew = location.pathname === '/new', view = viewed(query)
  const list = el('section', {class: 'listed', 'aria-label': 'runs'}), two = el('div', {class: `two${isNew ? ' open' : ''}`}, list)
  put(main, two)
  const side = isNew ? await panel(query) : null
  if (side) {
    two.append(side.node)
    remember({q: view.text, sort: query.get('sort'), ticked: query.get('ticked'), open: query.get('open')}) // the form has taken its own part out of the address
  }
  const counted = el('span', {class: 'note', role: 'status'}), body = el('div'), below = el('div', {style: {display: 'contents'}}), caption = el('caption'), head = el('thead'), rowsOf = el('tbody')
  const welcome = el('p', {class: 'soft', hidden: true}, EMPTY), binned = el('details', {class: 'part note', hidden: true, ontoggle: () => { if (binned.open) drawBin() }})
  const table = el('table', {class: 'runs'}, caption, head, rowsOf), made = new Map() // table rows by id
  const find = el('input', {class: 'find', type: 'search', id: 'find', placeholder: 'find: a name, state:failed, model:vae', 'aria-label': 'filter runs', value: view.text,
    oninput: (e) => { view.text = e.target.value; drawn = FIRST; remember({q: view.text}); draw() },
    onkeydown: (e) => { if (e.key === 'Escape' || e.key === 'Enter' || e.key === 'ArrowDown') { e.target.blur(); focusRow(0); e.preventDefault() } }})
  put(list, el('div', {class: 'head'}, el('h1', {}, 'Runs'), counted, el('div', {class: 'end'}, find, link('/new', {class: isNew ? 'button' : 'button main'}, 'New run', kbd('N')))), isNew ? null : welcome, body, below, binned)
  const nothing = el('p', {class: 'soft', hidden: true}, 'No run fits these words. ', button('show all', () => { find.value = view.text = ''; remember({q: ''}); draw() }, {class: 'link'}))
  let alike = false, shown = [], drawn = FIRST, timer = 0, closed = false
  const end = button('', () => further(), {class: 'link', hidden: true}), sight = new IntersectionObserver((found) => { if (found.some((e) => e.isIntersecting)) further() }, {rootMargin: '600px'})
  sight.observe(end)

  async function load() {
    const [answer, found] = await Promise.all([get('/api/runs'), get('/api/sweeps').catch(() => ({sweeps: []}))])
    seen = new Map(answer.runs.map((r) => [r.id, r]))
    ;[stamp, folder] = [answer.stamp, answer.folder]
    sweeps = found.sweeps
  }

  // The counts of a sweep come from its members; what it says of itself is asked for when one of them changes.
  function again() {
    timer ||= setTimeout(async () => {
      timer = 0
      const found = await get('/api/sweeps').catch(() => null)
      if (!found || closed) return
      sweeps = found.sweeps
      draw()
      if (sweeps.some((s) => s.state === 'running')) again()
    }, SWEEPS_MS)
  }

  // ---- which rows, in which order -----------------------------------------------------------------------------------

  function fits(r, words) {
    return words.every((w) => {
      const [field, value] = w.includes(':') ? w.split(/:(.*)/) : ['', w]
      if (FIELDS.includes(field)) return value === 'all' || !value || String(r[field] ?? '').toLowerCase().includes(value)
      return `${r.name} ${r.model} ${r.data} ${r.state}`.toLowerCase().includes(w)
    })
  }

  // Runs, and sweeps with those of their members that fit.
  function entries(words) {
    const groups = new Map(sweeps.map((s) => [s.name, {...s, sweep: true, counts: {}, members: [], id: `sweep-${s.id}`, to: `/sweeps/${s.id}`}])), out = []
    for (const r of seen.values()) {
      const group = r.name.includes('/') ? groups.get(r.name.split('/')[0]) : null
      if (group) group.members.push(r)
      else if (fits(r, words)) out.push(r)
    }
    for (const g of groups.values()) {
      if (g.name === folder && !g.members.length) continue // a sweep that fills the whole folder: its runs stand for themselves
      for (const r of g.members) g.counts[r.state] = (g.counts[r.state] ?? 0) + 1
      g.started_s = Math.min(1000 * g.changed, ...g.members.map((r) => began(r) ?? Infinity)) / 1000
      const whole = fits(g, words)
      g.shown = whole ? g.members : g.members.filter((r) => fits(r, words))
      if (whole || g.shown.length) out.push(g)
    }
    return out
  }

  function sorted(rows, sort) {
    const down = sort.startsWith('-'), value = SORTS[sort.replace('-', '')] ?? SORTS.started
    return rows.map((r) => [value(r), r]).sort(([p, a], [q, b]) => {
      if (p === undefined || q === undefined) return p === q ? (a.name < b.name ? -1 : 1) : p === undefined ? 1 : -1
      const order = p === q ? (a.name < b.name ? -1 : 1) : p < q ? -1 : 1
      return down ? -order : order
    }).map((p) => p[1])
  }

  // By headline only where all that is shown has one measure on one data set.
  const like = (rows) => ['key', ''].every((key) => new Set(rows.filter((r) => r.headline).map((r) => key ? r.headline.key : r.fingerprint)).size === 1)

  function draw() {
    if (!seen || closed) return
    const all = [...seen.values()], running = all.filter((r) => r.state === 'running').length, top = entries(view.text.toLowerCase().split(/\s+/).filter(Boolean))
    const fit = top.reduce((n, r) => n + (r.shown?.length ?? 1), 0)
    text(counted, `${all.length} in this folder${running ? `, ${running} running` : ''}${fit < all.length ? `, ${fit} shown` : ''}`)
    welcome.hidden = !all.length || all.length > FEW
    if (!all.length) {
      table.remove()
      end.remove()
      return void held(body, 'none', empty)
    }
    const inside = (r) => r.sweep && view.open.has(r.id) ? r.shown : []
    const members = new Set(top.flatMap(inside))
    alike = like([...top, ...members])
    const sort = view.sort.endsWith('headline') && !alike ? '-started' : view.sort
    shown = sorted(top, sort).flatMap((r) => [r, ...sorted(inside(r), sort)])
    drawHead(sort)
    order(shown.slice(0, drawn).map((r) => filled(r, members.has(r))))
    nothing.hidden = shown.length > 0
    end.hidden = shown.length <= drawn
    text(end, `${count(shown.length - drawn, 'more row', 'more rows')}`)
    if (body.firstChild !== table) {
      body.madeOf = ''
      put(body, table, nothing, end)
    }
    drawFoot()
  }

  function further() {
    drawn += MORE
    draw()
  }

  // Only rows that are new or stand elsewhere are moved.
  function order(trs) {
    const wanted = new Set(trs), focused = document.activeElement
    for (const tr of [...rowsOf.children]) if (!wanted.has(tr)) tr.remove()
    let at = rowsOf.firstChild
    for (const tr of trs) tr === at ? at = at.nextSibling : rowsOf.insertBefore(tr, at)
    if (focused !== document.activeElement && rowsOf.contains(focused)) focused.focus({preventScroll: true})
    for (const id of made.keys()) if (!seen.has(id) && !id.startsWith('sweep-')) made.delete(id)
  }

  // ---- what a row shows ---------------------------------------------------------------------------------------------

  function empty() {
    return el('div', {class: 'empty'}, el('h1', {}, 'No runs yet.'), el('p', {}, EMPTY),
      el('p', {class: 'acts'}, link('/new', {class: 'button main'}, 'New run', kbd('N')), link('/new?set=digits&model=vae&epochs=10', {}, 'Try it on digits, 20 s')))
  }

  function drawHead(sort) {
    const sorter = (field, words, more = {}) => {
      const on = sort.replace('-', '') === field, down = sort.startsWith('-')
      return el('th', {scope: 'col', 'aria-sort': on ? (down ? 'descending' : 'ascending') : null, ...more}, button(`${words}${on ? (down ? ' ↓' : ' ↑') : ''}`, () => {
        const first = field === 'started' || (field === 'headline' && shown.find((r) => r.headline)?.headline.better === 'more') ? '-' : ''
        view.sort = on ? (down ? field : `-${field}`) : `${first}${field}`
        remember({sort: view.sort}, {push: true})
        draw()
      }, {id: `sort-${field}`}))
    }
    held(head, [sort, alike], () => el('tr', {}, el('th', {scope: 'col'}, el('span', {class: 'hidden'}, 'ticked')), sorter('state', 'State'), sorter('name', 'Run, model, data'), el('th', {scope: 'col', class: 'wide'}, 'Progress'),
      alike ? sorter('headline', 'Headline, 95 % interval', {class: 'num'}) : el('th', {scope: 'col', class: 'num'}, 'Headline, 95 % interval'), el('th', {scope: 'col', class: 'curve'}, 'Validation'), sorter('started', 'Started', {class: 'num when'})))
    text(caption, `Runs made by the command line appear here by themselves.${alike ? '' : ' A headline is the first measure of the report; lists of unlike models are sorted by start, not by headline.'}`)
  }

  function filled(r, member) {
    if (!made.has(r.id)) made.set(r.id, blank(r))
    const row = made.get(r.id), ticked = view.ticked.has(r.id), open = view.open.has(r.id)
    row.tr.className = `${ticked ? 'ticked' : ''}${member ? ' member' : ''}`
    if (row.tick) row.tick.checked = ticked
    if (row.of === r && row.open === open && row.member === member) return row.tr
    Object.assign(row, {of: r, open, member})
    const cells = r.sweep ? sweepCells(r, open) : runCells(r, member)
    row.cells.forEach((cell, i) => held(cell, cells[i][0], cells[i][1]))
    return row.tr
  }

  // The nodes of a row; what is pressed is found by its id.
  function blank(r) {
    const tick = r.sweep || r.job ? null : el('input', {type: 'checkbox', 'aria-label': `tick ${r.name}`, onchange: () => toggle(r.id)})
    const cells = ['', '', 'wide', 'num', 'curve', 'num when note'].map((name) => el('td', {class: name})), to = r.to ?? `/runs/${r.id}`
    return {tick, cells, tr: el('tr', {'data-id': r.id, 'data-to': to, tabindex: 0, onclick: (e) => { if (!e.target.closest('a,button,input')) go(to) }}, el('td', {}, tick), cells)}
  }

  // Of each cell what it is made of, and how.
  function runCells(r, member) {
    const done = progress(r), time = remaining(r, r.pace), bad = r.state === 'failed' || r.state === 'unreadable', running = r.state === 'running' || r.state === 'starting', h = r.headline
    const more = r.state === 'stopped' ? (r.why.startsWith('Its process') ? 'its process is gone; can be resumed' : 'can be resumed') : ''
    return [[r.state, () => state(r.state)],
      [[r.name, r.model, r.data, r.command, member], () => [link(`/runs/${r.id}`, {class: 'name'}, named(member ? r.name.split(/\/(.*)/)[1] : r.name)), el('div', {}, r.model ? [r.model, ' · ', named(r.data)] : named(r.command ?? '', 60))]],
      [[r.state, r.why, done, time, r.steps], () => [bad ? el('span', {class: 'bad'}, named(r.why || 'it ended without a word', 70)) : el('span', {}, done.text, time ? `, ${time} left` : ''), running && r.steps ? el('div', {class: 'track'}, el('i', {style: {width: `${100 * done.share}%`}})) : el('div', {}, more)]],
      [[h?.text, h?.label, h?.unit, h?.how, bad], () => h ? [el('span', {title: h.how ?? ''}, h.text), el('div', {}, `${h.label}${h.unit ? `, ${h.unit}` : ''}`)] : el('span', {class: 'note'}, bad ? '' : 'none yet')],
      [[r.curve, running, bad], () => spark(r.curve, running ? 'var(--accent)' : bad ? 'var(--bad)' : 'var(--ink-2)')], [r.started ?? r.started_s, () => when(began(r))]]
  }

  function sweepCells(s, open) {
    const c = s.counts, done = c.done ?? 0, fold = () => {
      open ? view.open.delete(s.id) : view.open.add(s.id)
      remember({open: [...view.open].join(',')}, {push: true})
      draw()
    }
    return [[s.state, () => state(s.state)],
      [[s.name, s.model, s.total, s.data, open], () => [link(s.to, {class: 'name'}, named(s.name)), el('div', {}, s.model ? [`${s.model} × ${s.total} · `, named(s.data)] : named(s.why, 70), ' ', button(open ? 'fold' : `show ${count(s.members.length, 'run')}`, fold, {class: 'link', id: `fold-${s.id}`, 'aria-expanded': String(open)}))]],
      [[done, s.total, c.failed, s.state, s.took_s], () => [el('span', {}, `${done} of ${count(s.total, 'run')}`, s.state === 'done' && s.took_s ? `, ${took(s.took_s)}` : '', c.failed ? el('span', {class: 'bad'}, `, ${c.failed} failed`) : null), el('div', {class: `track ${s.state}`}, el('i', {style: {width: `${100 * done / (s.total || 1)}%`}}))]],
      ['', () => el('span', {class: 'note'}, 'a sweep')], ['', () => null], [s.started_s, () => when(began(s))]]
  }

  function toggle(id) {
    view.ticked.has(id) ? view.ticked.delete(id) : view.ticked.add(id)
    remember({ticked: [...view.ticked].join(',')}, {push: true})
    draw()
  }

  // ---- ticked runs --------------------------------------------------------------------------------------------------

  const chosen = () => [...view.ticked].map((id) => seen.get(id)).filter(Boolean)

  function drawFoot() {
    const runs = chosen(), same = new Set(runs.map((r) => r.fingerprint)).size === 1
    held(below, runs.map((r) => [r.id, r.name, r.fingerprint]), () => runs.length ? el('div', {class: 'foot', role: 'region', 'aria-label': 'ticked runs'}, el('b', {}, `${count(runs.length, 'run')} ticked`),
      el('span', {class: 'soft'}, runs.slice(0, NAMED).map((r) => r.name).join(', '), runs.length > NAMED ? ` and ${runs.length - NAMED} more` : '', runs.length > 1 ? (same ? ': same data' : ': different data, so little can be compared') : ''),
      el('div', {class: 'end'}, button('Untick', untick), button('Export as CSV', () => keep(runs), {id: 'export'}), button('Move to the bin', bin), button('Compare', compare, {class: 'main', disabled: runs.length < 2}, kbd('C')))) : null)
  }

  function untick() {
    view.ticked.clear()
    remember({ticked: ''}, {push: true})
    draw()
  }

  function compare() {
    const ids = chosen().map((r) => r.id)
    if (ids.length > MOST) toast(`At most ${MOST} runs can be compared; ${ids.length} are ticked.`, null, null, 8)
    else if (ids.length > 1) go(`/compare?runs=${ids.join(',')}`)
  }

  // One row a run: what it is, its settings, its measures with their intervals in full precision.
  async function keep(runs) {
    const press = document.getElementById('export')
    press.disabled = true
    try {
      const all = []
      for (const r of runs) {
        text(press, `Reading ${all.length + 1} of ${runs.length}`)
        all.push(await get(`/api/runs/${r.id}`))
      }
      const names = (of) => [...new Set(all.flatMap((r) => of(r).map((one) => one.name ?? one.key)))], settings = names((r) => r.settings ?? []), measures = names((r) => r.measures ?? []), plain = (v) => Array.isArray(v) ? v.join(' ') : v
      save('runs.csv', csv([['name', 'state', 'model', 'data', 'fingerprint', 'started', 'took_s', 'step', 'kept_step', ...settings, ...measures.flatMap((key) => [key, `${key}_low`, `${key}_high`])],
        ...all.map((r) => [r.name, r.state, r.model, r.data, r.fingerprint, r.started, r.took_s, r.step, r.kept?.step, ...settings.map((name) => plain(r.settings?.find((s) => s.name === name)?.value)),
          ...measures.flatMap((key) => { const m = r.measures?.find((one) => one.key === key); return [m?.value, m?.low, m?.high] })])]), 'text/csv')
    } catch (error) { toast(error.message) }
    press.disabled = false
    text(press, 'Export as CSV')
  }

  async function bin() {
    try {
      const moved = await post('/api/bin', {runs: chosen().map((r) => r.id)})
      view.ticked.clear()
      remember({ticked: ''})
      toast(`${count(moved.length, 'run')} moved to the bin`, 'Undo', () => back(moved.map((m) => m.token)))
      await load()
      draw()
      drawBin()
    } catch (error) { toast(error.message) }
  }

  // What lies in the bin, each with its way back.
  async function drawBin() {
    const all = await get('/api/bin').catch(() => [])
    if (closed) return
    binned.hidden = !all.length
    put(binned, el('summary', {}, `Bin, ${count(all.length, 'run')}`), binned.open ? el('ul', {class: 'list-of'}, all.map((one) => el('li', {}, named(one.name), el('span', {class: 'note'}, `moved ${when(1000 * one.moved_s)} `), button('Put back', () => back([one.token]), {class: 'link'})))) : null)
  }
  async function back(tokens) {
    try {
      await post('/api/bin/restore', {tokens})
      await load()
      draw()
      drawBin()
    } catch (error) { toast(error.message) }
  }

  // ---- keys and events ----------------------------------------------------------------------------------------------

  function focusRow(i) {
    if (i >= rowsOf.children.length && drawn < shown.length) further()
    const all = [...rowsOf.children]
    all[Math.max(0, Math.min(all.length - 1, i))]?.focus()
  }
  const here = () => document.activeElement?.closest?.('tr[data-id]')
  const index = () => [...rowsOf.children].indexOf(here())

  if (seen) draw()
  else put(body, el('p', {class: 'note'}, 'reading the run folders'))
  try {
    await load()
    draw()
  } catch (error) {
    if (!seen) throw error
  }
  if (sweeps.some((s) => s.state === 'running')) again()
  drawBin()
  return {
    title: isNew ? 'New run' : 'Runs',
    stream: {list: true, run: '', offset: 0, stamp},
    events: {
      runs: ({changed, ids, stamp: reached}) => {
        const left = new Set(ids), members = changed.some((r) => r.name.includes('/')) || [...seen.values()].some((r) => r.name.includes('/') && !left.has(r.id))
        for (const r of changed) {
          const before = seen.get(r.id)
          if (before && before.state !== r.state) say(`${r.name}: ${r.state}`)
          seen.set(r.id, r)
        }
        for (const id of [...seen.keys()]) if (!left.has(id)) seen.delete(id)
        stamp = reached
        if (members) again()
        draw()
      },
    },
    told: (address) => {
      Object.assign(view, viewed(address))
      find.value = view.text
      draw()
    },
    keys: {
      ArrowDown: () => focusRow(index() + 1),
      ArrowUp: () => focusRow(Math.max(0, index() - 1)),
      x: () => here()?.querySelector('input') && toggle(here().dataset.id),
      c: compare,
      Enter: () => here() && document.activeElement === here() ? void go(here().dataset.to) : false,
      Escape: () => { if (isNew) go('/') },
    },
    dropped: () => isNew ? side.dropped() : go('/new'),
    close: () => {
      closed = true
      sight.disconnect()
      clearTimeout(timer)
      side?.close()
    },
  }
}
