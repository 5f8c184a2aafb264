// Compare: chosen runs in their order, each in its slot; what `elboroom compare` measures of them is shown as its page.
// What is measured goes on when the page is left, and is joined by the next page that asks for the same runs.

import {el, svg, put, link, named, button, say} from './dom.js'
import {get, post} from './api.js'
import {count, took} from './numbers.js'
import {state} from './words.js'
import {go, remember} from './app.js'
import {curves} from './compare-curves.js'

const MARKS = 8, ASK_MS = 500, SOON_MS = 150, LISTED = 60
const SHAPES = ['M2 6a4 4 0 1 0 8 0a4 4 0 1 0-8 0', 'M2 2h8v8h-8Z', 'M6 1.4l4.8 8H1.2Z', 'M6 1l5 5l-5 5l-5-5Z', 'M6 10.6l4.8-8H1.2Z', 'M4.5 1.5h3v3h3v3h-3v3h-3v-3h-3v-3h3Z',
  'M6 .6L7.35 4.14L11.14 4.33L8.19 6.71L9.17 10.37L6 8.3L2.83 10.37L3.81 6.71L.86 4.33L4.65 4.14Z', 'M1.6 1.4h8.8L6.9 6L10.4 10.6H1.6L5.1 6Z']
const color = (slot) => slot ? `var(--c${slot})` : 'var(--ink)'
const sign = (slot) => slot ? svg('svg', {width: 12, height: 12, viewBox: '0 0 12 12', 'aria-hidden': 'true'}, svg('path', {d: SHAPES[slot - 1], fill: color(slot)})) : ''
const chosenOf = (text) => [...new Map(text.split(',').filter(Boolean).map((part) => part.split(':')).map(([id, slot]) => [id, {id, slot: Number(slot) || 0}])).values()]
const address = (list) => list.map(({id, slot}) => slot ? `${id}:${slot}` : id).join(',')

export async function open(main, {query}) {
  const chosen = chosenOf(query.get('runs') ?? ''), [kind, ...rest] = (query.get('data') ?? '').split(':')
  let data = kind ? {[kind === 'upload' ? 'upload' : 'set']: rest.join(':')} : null
  let runs = new Map(), able = {runs: {}, most: 20}, sets = [], uploads = [], filter = ''
  let task = {state: 'none', known: {}, left_out: {}}, asking = 0, closed = false, timer = 0, failed = '', frame = null, shown = ''
  const act = el('div', {class: 'end'}), title = el('h1'), list = el('section', {class: 'part'}), choice = el('details', {class: 'part', open: chosen.length < 2}, el('summary', {}, 'Add a run')), on = el('div', {class: 'controls'})
  const told = el('div'), body = el('div'), foot = el('div'), lines = el('section', {class: 'part'})
  put(main, el('div', {class: 'head'}, title, el('span', {class: 'note'}, 'all measured on the same held-out data; bold only where the interval of the difference is clear of 0'), act), list, choice, on, told, body, foot, lines)
  const below = curves(lines, query)

  // Why a chosen run is not measured with the others; '' where it is.
  function why(id) {
    const run = runs.get(id), about = able.runs[id]
    if (!run) return 'no run of this id is here; it may be in the bin'
    if (!about) return 'came to nothing before there was a run'
    if (about.why) return about.why
    const fit = chosen.filter((c) => able.runs[c.id]?.why === '')
    const first = able.runs[fit[0].id]
    if (!data && about.data !== first.data) return run.data === runs.get(fit[0].id).data ? `reads ${run.data} otherwise than ${runs.get(fit[0].id).name}: other columns, another label or another split; choose data for all, or take it out` : `was made from other data than ${runs.get(fit[0].id).name}; choose data for all, or take it out`
    return fit.findIndex((c) => c.id === id) >= able.most ? `is beyond the ${able.most} runs that can be compared at once` : ''
  }
  const fit = () => chosen.filter((c) => !why(c.id))
  const tokens = (id) => able.runs[id]?.tokens !== able.runs[fit()[0]?.id]?.tokens

  // A run keeps its slot as long as it is chosen; one that comes gets the first that is free.
  function place() {
    const those = fit(), few = those.length <= MARKS, held = new Set()
    for (const c of those) {
      if (!few || c.slot > MARKS || held.has(c.slot)) c.slot = 0
      if (c.slot) held.add(c.slot)
    }
    for (const c of those) if (few && !c.slot) held.add(c.slot = [1, 2, 3, 4, 5, 6, 7, 8].find((n) => !held.has(n)))
  }

  function changed(push = true) {
    place()
    if (!closed) remember({runs: address(chosen), data: data ? Object.entries(data)[0].join(':') : ''}, {push})
    draw()
    below.show(fit().map((c) => ({...c, name: runs.get(c.id).name, color: color(c.slot)})))
    clearTimeout(timer)
    timer = setTimeout(() => ask(false), SOON_MS)
  }

  // ---- the runs -----------------------------------------------------------------------------------------------------

  function move(id, to) {
    const from = chosen.findIndex((c) => c.id === id)
    if (from < 0 || to < 0 || to >= chosen.length || to === from) return
    chosen.splice(to, 0, chosen.splice(from, 1)[0])
    say(`${runs.get(id)?.name ?? id}: ${to + 1} of ${chosen.length}`)
    changed()
  }

  function row(c, i) {
    const run = runs.get(c.id), reason = why(c.id) || (task.left_out?.[c.id] ? `left out: ${task.left_out[c.id]}` : '')
    const kind = 'application/x-elboroom-run', carried = (e) => e.dataTransfer.types.includes(kind)
    const name = run?.name ?? c.id
    return el('tr', {draggable: 'true', 'data-run': c.id, ondragstart: (e) => { e.dataTransfer.setData(kind, c.id); e.dataTransfer.effectAllowed = 'move' }, ondragover: (e) => { if (carried(e)) e.preventDefault() },
      ondrop: (e) => { if (carried(e)) { e.preventDefault(); e.stopPropagation(); move(e.dataTransfer.getData(kind), i) } }},
    el('td', {}, reason ? null : sign(c.slot)), el('td', {}, run ? link(`/runs/${c.id}`, {class: 'name'}, named(name)) : named(name), run ? el('div', {}, run.model ?? '', ' · ', named(run.data ?? ''), run.state === 'done' ? null : [' · ', state(run.state)]) : null,
      reason ? el('p', {class: 'warn'}, `△ ${reason}`) : tokens(c.id) ? el('p', {class: 'note'}, 'other tokens: compared by bits per byte') : null),
    el('td', {class: 'num'}, button('↑', () => move(c.id, i - 1), {class: 'link', id: `up-${c.id}`, disabled: !i, 'aria-label': `${name} earlier`}), button('↓', () => move(c.id, i + 1), {class: 'link', id: `down-${c.id}`, disabled: i === chosen.length - 1, 'aria-label': `${name} later`}),
      button('take out', () => { chosen.splice(i, 1); changed() }, {class: 'link', id: `out-${c.id}`, 'aria-label': `take ${name} out`})))
  }

  function others() {
    const first = able.runs[fit()[0]?.id], taken = new Set(chosen.map((c) => c.id)), words = filter.toLowerCase().split(/\s+/).filter(Boolean)
    const can = [...runs.values()].filter((r) => able.runs[r.id]?.why === '' && !taken.has(r.id)), full = fit().length >= able.most
    const like = (r) => !first || able.runs[r.id].data === first.data
    const seen = can.filter((r) => words.every((w) => `${r.name} ${r.model} ${r.data}`.toLowerCase().includes(w))).sort((a, b) => Number(like(b)) - Number(like(a)))
    const cannot = runs.size - taken.size - can.length
    const find = el('input', {class: 'find', id: 'add-find', type: 'search', placeholder: 'name, model or data', 'aria-label': 'filter runs to add', value: filter, oninput: (e) => { filter = e.target.value; others() }})
    put(choice, el('summary', {}, `Add a run: ${can.length} can be compared`, full ? `; ${able.most} at once is the most` : ''), can.length > 8 ? find : null,
      el('table', {class: 'runs'}, cannot > 0 ? el('caption', {}, `${count(cannot, 'run')} more cannot: still training, stopped before the end, failed or damaged`) : null, el('tbody', {}, seen.slice(0, LISTED).map((r) => el('tr', {},
        el('td', {}, el('input', {type: 'checkbox', id: `c-${r.id}`, disabled: full, onchange: () => { chosen.push({id: r.id, slot: 0}); changed() }})), el('td', {}, el('label', {for: `c-${r.id}`}, named(r.name)), el('div', {}, r.model, ' · ', named(r.data))), el('td', {}, state(r.state)),
        el('td', {class: 'note'}, like(r) ? first && able.runs[r.id].tokens !== first.tokens ? 'same text, other tokens' : '' : 'other data'))))))
    if (seen.length > LISTED) choice.append(el('p', {class: 'note'}, `the first ${LISTED} of ${seen.length}; filter for the others`))
  }

  function drawData() {
    if (on.contains(document.activeElement)) return
    const of = able.runs[fit()[0]?.id]?.kind, value = data ? Object.entries(data)[0].join(':') : '', fits = sets.filter((s) => !of || s.kind === of || value === `set:${s.name}`)
    const options = [['', 'the held-out data that all share'], ...fits.map((s) => [`set:${s.name}`, s.name]), ...uploads.map((u) => [`upload:${u.id}`, `${u.name} (dropped here)`])]
    if (value && !options.some(([v]) => v === value)) options.push([value, value.replace(/^\w+:/, '')])
    put(on, el('label', {for: 'compare-data'}, 'measured on ', el('select', {id: 'compare-data', onchange: (e) => { const [k, ...v] = e.target.value.split(':'); data = k ? {[k]: v.join(':')} : null; e.target.blur(); changed() }}, options.map(([v, text]) => el('option', {value: v, selected: v === value}, text)))))
  }

  // ---- measuring ----------------------------------------------------------------------------------------------------

  const live = () => task.state === 'waiting' || task.state === 'running'

  function draw() {
    const those = fit(), done = task.state === 'done' && !failed
    title.textContent = those.length > 1 ? `Compare ${those.length} runs` : 'Compare'
    put(list, chosen.length ? el('table', {class: 'runs'}, el('caption', {}, 'Drag a row, or use ↑ ↓, to order; a run keeps its colour and shape', those.length > MARKS ? `, which up to ${MARKS} runs have` : ''), el('tbody', {}, chosen.map(row))) : el('p', {class: 'soft'}, 'Tick two runs or more.'))
    others()
    drawData()
    put(act, live() ? button('Give up', giveUp, {id: 'measure'}) : done ? null : button('Compare', () => ask(true), {class: 'main', id: 'measure', disabled: those.length < 2}))
    drawTold()
    if (!done) frame = put(body, those.length > 1 ? known(those) : null) && null
    put(foot, those.length > 1 && task.command ? el('div', {class: 'command'}, el('code', {}, task.command)) : null)
    if (done) showPage(those)
  }

  function drawTold() {
    const gone = task.gone_s >= 1 ? `, ${took(Math.floor(task.gone_s))} gone` : '', what = data ? 'the chosen data' : 'the data they share'
    put(told, failed ? el('p', {class: 'said-bad', role: 'alert'}, failed) : task.state === 'failed' ? el('p', {class: 'said-bad', role: 'alert'}, `× ${task.why}`) : task.state === 'ended' ? el('p', {class: 'said-warn'}, `△ ${task.why} after ${took(Math.max(1, Math.round(task.gone_s)))}`)
      : live() ? [el('p', {}, task.state === 'waiting' ? `Waits for another comparison${gone}.` : `Measuring ${count(fit().length, 'run')} on ${what}${gone}.`), el('p', {class: 'note'}, named(task.said || 'What was measured before is not measured again; you may leave this page.', 200))] : null)
  }

  // What the runs' own folders say already.
  function known(those) {
    const by = those.map((c) => new Map((task.known?.[c.id] ?? []).map((m) => [m.key, m]))), keys = [...new Set(by.flatMap((m) => [...m.keys()]))]
    if (!keys.length) return null
    return el('div', {class: 'scroll'}, el('table', {}, el('caption', {}, 'What each run measured when it was trained, on its own held-out part; differences can be told once all are measured on the same data.'),
      el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'Measure'), those.map((c) => el('th', {scope: 'col', class: 'num'}, sign(c.slot), ' ', named(runs.get(c.id).name, 30))))),
      el('tbody', {}, keys.map((key) => { const m = by.map((one) => one.get(key)), one = m.find(Boolean)
        return el('tr', {}, el('td', {}, one.label, el('span', {class: 'note'}, [one.unit, one.better && `${one.better} is better`].filter(Boolean).map((t) => ` ${t}`).join(';'))), m.map((v) => el('td', {class: v ? 'num' : 'num note', title: v?.how ?? null}, v ? v.text : 'not measured here'))) }))))
  }

  function showPage(those) {
    const source = `/api/compare/${task.id}?${new URLSearchParams({runs: address(those.filter((c) => !task.left_out?.[c.id]))})}`
    if (!frame || shown !== source) {
      frame = el('iframe', {class: 'page', sandbox: 'allow-scripts allow-modals allow-downloads', src: source, title: 'comparison'})
      shown = source
      put(body, frame)
    }
    foot.append(el('p', {class: 'acts'}, el('a', {href: source, target: '_blank', rel: 'noopener'}, 'Open alone'), button('Print', () => frame.contentWindow.postMessage('print', '*'), {class: 'link'}), el('a', {href: source, download: 'comparison.html'}, 'Save'),
      el('span', {class: 'note'}, 'one file; it works by mail and from disk, with scripts off')))
  }

  // With `begin` what has not been measured is begun; without it is only asked how it stands.
  async function ask(begin) {
    const mine = ++asking, those = fit()
    failed = ''
    if (those.length < 2) {
      task = {state: 'none', known: {}, left_out: {}}
      return draw()
    }
    if (begin) put(act, button('Beginning…', null, {disabled: true, id: 'measure'}))
    try {
      const answer = await post('/api/compare', {runs: those.map((c) => c.id), begin, ...(data ? {data} : {})})
      if (mine !== asking || closed) return
      task = {left_out: {}, ...answer}
      draw()
      while (live()) {
        await new Promise((done) => setTimeout(done, ASK_MS))
        if (mine !== asking || closed) return
        const next = await get(`/api/compare/${task.id}/state`)
        if (mine !== asking || closed) return
        const turned = next.state !== task.state
        task = {...task, ...next}
        if (turned) { say(`comparison: ${task.state}`); draw() } else drawTold()
      }
    } catch (error) {
      if (mine !== asking || closed) return
      task = {...task, state: 'none'}
      failed = error.message
      draw()
    }
  }

  async function giveUp() {
    put(act, button('Ending…', null, {disabled: true, id: 'measure'}))
    try { await post(`/api/compare/${task.id}/end`) } catch (error) { failed = error.message }
  }

  // The page of the comparison may name a run to be opened, nothing else.
  const heard = (event) => {
    if (frame && event.source === frame.contentWindow && chosen.some((c) => c.id === event.data?.open)) go(`/runs/${event.data.open}`)
  }
  addEventListener('message', heard)

  async function load() {
    const [listed, fits] = await Promise.all([get('/api/runs'), get('/api/compare')])
    runs = new Map(listed.runs.map((r) => [r.id, r]))
    able = fits
  }

  try {
    await load()
    place()
    if (location.pathname === '/compare') changed(false)
    clearTimeout(timer)
    get('/api/sets').then((found) => { sets = found; if (!closed) drawData() }, () => {})
    get('/api/uploads').then((found) => { uploads = found; if (!closed) drawData() }, () => {})
    // What was given up or failed is begun anew by its button only.
    ask(false).then(() => { if (!closed && task.state === 'none' && !failed && fit().length > 1) ask(true) })
  } catch (error) { put(told, el('p', {class: 'said-bad', role: 'alert'}, error.message)) }
  return {
    title: 'Compare',
    stream: {list: true, run: '', offset: 0},
    events: {
      runs: async ({changed: news, ids}) => {
        const turned = news.some((r) => runs.get(r.id)?.state !== r.state) || [...runs.keys()].some((id) => !ids.includes(id))
        if (!turned) return
        await load().catch(() => {})
        if (!closed) changed(false)
      },
    },
    close: () => {
      closed = true
      clearTimeout(timer)
      below.close()
      removeEventListener('message', heard)
    },
  }
}
