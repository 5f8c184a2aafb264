// Sweeps: the list, and one sweep with two of its measures against each other, each over the swept settings, and a table.

import {el, svg, put, link, named, button, kbd, say} from './dom.js'
import {get, post, key} from './api.js'
import {written, count, took, when} from './numbers.js'
import {state} from './words.js'
import {ticks, logTicks, tickText} from './chart.js'
import {go, remember, toast} from './app.js'
import {confirm} from './keys.js'

const AGAIN_MS = 1500, SMALL = 3, NAMED = 14, MOST = 20, COLUMNS = 5, ROWS = 60
const GLYPHS = {done: '■', running: '◧', waiting: '·', stopped: '□', failed: '×', unreadable: '×'}
const number = (v) => typeof v === 'number' && Number.isFinite(v)
const shown = (v) => Array.isArray(v) ? v.join(',') || 'none' : v === true ? 'on' : v === false ? 'off' : number(v) ? String(Number(v.toPrecision(6))) : String(v)

export const open = (main, {parts, query}) => parts[0] ? one(main, parts[0], query) : all(main)

const size = (s) => Object.entries(s.over).filter(([, values]) => values.length).map(([field, values]) => `${count(values.length, 'value')} of ${field}`).concat(s.seeds.length ? count(s.seeds.length, 'seed') : []).join(' × ')
const bar = (s) => el('div', {class: `track ${s.state}`}, el('i', {style: {width: `${100 * (s.counts.done ?? 0) / (s.total || 1)}%`}}))

async function all(main) {
  const draw = async () => {
    const {sweeps} = await get('/api/sweeps')
    put(main, el('div', {class: 'head'}, el('h1', {}, 'Sweeps'), el('span', {class: 'note'}, `${sweeps.length} in this folder`)), sweeps.length ? el('table', {class: 'runs'}, el('caption', {}, 'Members of a sweep are runs, and stand in the list of runs, too.'),
      el('thead', {}, el('tr', {}, ['State', 'Sweep, model, data', 'Over', 'Runs', 'Changed'].map((t, i) => el('th', {scope: 'col', class: ['', '', 'wide', '', 'num when'][i]}, t)))),
      el('tbody', {}, sweeps.map((s) => el('tr', {onclick: (e) => { if (!e.target.closest('a')) go(`/sweeps/${s.id}`) }}, el('td', {}, state(s.state)), el('td', {}, link(`/sweeps/${s.id}`, {class: 'name'}, named(s.name)), el('div', {}, s.model ? [s.model, ' · ', named(s.data)] : named(s.why, 70))),
        el('td', {class: 'wide soft'}, s.over ? size(s) : ''), el('td', {}, s.total ? [`${s.counts.done ?? 0} of ${s.total}`, s.counts.failed ? el('span', {class: 'bad'}, `, ${s.counts.failed} failed`) : null, bar(s)] : ''), el('td', {class: 'num when note'}, when(s.changed * 1000))))))
      : el('div', {class: 'empty'}, el('h1', {}, 'No sweeps yet.'), el('p', {}, 'A sweep trains one model over values of its settings and over seeds; small ones train in one pass.'), el('div', {class: 'command'}, el('code', {}, 'elboroom sweep beta_vae digits --over beta=0.5,1,4 --seeds 3 --run runs/betas'))))
  }
  await draw()
  return {title: 'Sweeps', stream: {list: true, run: '', offset: 0}, events: {runs: draw}}
}

async function one(main, id, query) {
  let s, closed = false, timer = 0, at = -1, from = null, stopping = 0, dragged = false
  try { s = await get(`/api/sweeps/${id}`) } catch (error) {
    put(main, el('h1', {}, 'This sweep is not here.'), el('p', {class: 'soft'}, error.message), link('/sweeps', {}, 'to the sweeps'))
    return {title: 'Sweep'}
  }
  if (!s.measures) {
    put(main, el('p', {class: 'crumb'}, link('/sweeps', {}, 'Sweeps')), el('h1', {}, named(s.name)), el('p', {class: 'said-bad'}, s.why))
    return {title: s.name}
  }
  const view = {x: query.get('x'), y: query.get('y'), over: query.get('over'), pick: new Set((query.get('pick') ?? '').split(',').filter(Boolean).map(Number)), all: false, rows: false}
  const top = el('div'), controls = el('div', {class: 'controls'}), title = el('h3'), caption = el('p', {class: 'note'}), box = svg('svg', {tabindex: 0, role: 'img'}), read = el('div', {class: 'read', hidden: true})
  const smalls = el('div', {class: 'sweep-small'}), listed = el('section', {class: 'part'}), foot = el('div')
  put(main, top, el('div', {class: 'live'}, el('figure', {class: 'chart'}, controls, title, box, read, caption), smalls), listed, foot)
  let points = [], front = [], place = {}

  const press = key(), fields = () => Object.keys(s.over), of = (key) => s.measures.find((m) => m.key === key)
  const name = (row) => fields().filter((f) => f in row.over).map((f) => `${f} ${shown(row.over[f])}`).join(', ') || 'all seeds'
  const text = (m, v) => v ? written(v.value, v.low, v.high, m.unit === 'share' ? {form: 'share'} : {}) : 'none'
  const plain = (m, v) => written(v, null, null, m.unit === 'share' ? {form: 'share'} : {})
  const told = (m) => `${m.label}${m.unit && m.unit !== 'share' ? `, ${m.unit}` : ''}`
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b)

  // Values come in the order of the measures.
  function taken(found) {
    const keys = found.measures.map((m) => m.key), paired = (list, of) => Object.fromEntries(keys.flatMap((k, i) => list[i] === null ? [] : [[k, of(list[i])]]))
    for (const m of found.members) m.metrics = paired(m.metrics, (v) => v)
    for (const row of found.table) row.measures = paired(row.measures, ([value, low, high]) => ({value, low, high}))
    return found
  }

  // Settings with their members and, where both measures are there, their place in the main figure.
  function gather() {
    const keys = s.measures.map((m) => m.key)
    if (!keys.includes(view.x)) view.x = s.axes[0]
    if (!keys.includes(view.y)) view.y = s.axes[1] ?? s.axes[0]
    if (!fields().includes(view.over)) view.over = fields()[0]
    const groups = new Map()
    for (const m of s.members) {
      const key = JSON.stringify(m.over, Object.keys(m.over).sort())
      groups.set(key, [...groups.get(key) ?? [], m])
    }
    points = s.table.map((row, i) => ({i, ...row, members: groups.get(JSON.stringify(row.over, Object.keys(row.over).sort())) ?? [], x: row.measures[view.x], y: row.measures[view.y]}))
    front = pareto(points.filter(drawn).map((p) => [p.x.value, p.y.value, p.i]), of(view.x)?.better, of(view.y)?.better)
  }
  const drawn = (p) => number(p.x?.value) && number(p.y?.value)
  const whole = (p) => p.members.every((m) => m.state === 'done')

  function drawTop() {
    const c = s.counts, live = s.members.find((m) => m.state === 'running'), going = s.job?.alive && !live
    if (!live) stopping = 0
    const acts = [live ? button(['Stop and keep state', 'Stopping… press again to end without saving', 'Ending…'][stopping], () => stop(live), {id: 'stop', disabled: stopping > 1}, kbd('S')) : null,
      s.report ? el('a', {class: 'button', href: `/api/sweeps/${id}/report`, target: '_blank', rel: 'noopener'}, 'Report') : null, s.state === 'stopped' && !going ? button('Resume', resume, {class: 'main', id: 'resume'}) : null]
    put(top, el('p', {class: 'crumb'}, link('/sweeps', {}, 'Sweeps'), ` / ${s.model} on `, named(s.data)), el('div', {class: 'head', style: {marginBottom: 0}}, el('h1', {}, named(s.name)), state(going ? 'starting' : stopping ? 'stopping' : s.state),
      el('div', {class: 'end'}, acts)),
    el('div', {class: `track wide ${s.state}`, role: 'progressbar', 'aria-valuenow': c.done ?? 0, 'aria-valuemin': 0, 'aria-valuemax': s.total, 'aria-label': 'runs done'}, el('i', {style: {width: `${100 * (c.done ?? 0) / s.total}%`}})),
    el('div', {class: 'facts', style: {marginBottom: '24px'}}, el('span', {}, el('b', {}, `${c.done ?? 0} of ${count(s.total, 'run')}`), ` ${size(s)}`), s.took_s ? el('span', {}, s.state === 'running' ? 'gone ' : 'took ', el('b', {}, took(s.took_s))) : null,
      ...['running', 'waiting', 'stopped'].filter((k) => c[k]).map((k) => el('span', {}, `${c[k]} ${k}`)), el('span', {class: c.failed ? 'bad' : ''}, `${c.failed ?? 0} failed${c.failed ? ', left out of all means' : ''}`)),
    s.state === 'stopped' && !going ? el('p', {class: 'said-warn'}, `□ ${s.why || 'Stopped before its end.'} Resume goes on, as the same command does with --or-resume.`, s.job?.said && !/^stopped|--or-resume/.test(s.job.said) ? [' When it was last resumed: ', named(s.job.said, 300)] : null) : null)
  }

  async function stop(member) {
    if (!stopping && !await confirm(`Stop ${s.name}?`, 'Its process saves the state of every run in training; Resume goes on from there.', 'Stop and keep state')) return
    stopping += 1
    drawTop()
    await post(`/api/runs/${member.run}/stop${stopping > 1 ? '' : '?first=1'}`).catch((error) => { stopping = 0; drawTop(); toast(error.message) })
  }

  async function resume() {
    try {
      await post(`/api/sweeps/${id}/resume`, {key: `${press}-${s.counts.done ?? 0}-${Math.round(s.changed)}`})
      toast('Resuming: reading the data', null, null, 6)
    } catch (error) { toast(error.message) }
    soon()
  }

  function drawControls() {
    const pick = (label, now, options, set) => el('label', {}, `${label} `, el('select', {id: `pick-${label}`, onchange: (e) => { set(e.target.value); remember({x: view.x, y: view.y, over: view.over}); draw() }}, options.map(([v, t]) => el('option', {value: v, selected: v === now}, t))))
    const axes = s.measures.map((m) => [m.key, m.label])
    put(controls, pick('across', view.x, axes, (v) => { view.x = v }), pick('up', view.y, axes, (v) => { view.y = v }), fields().length > 1 ? pick('over', view.over, fields().map((f) => [f, f]), (v) => { view.over = v }) : null)
  }

  // ---- the main figure ------------------------------------------------------------------------------------------------

  function drawMain() {
    const mx = of(view.x), my = of(view.y), width = Math.max(260, box.parentNode.clientWidth || 700), H = Math.round(Math.min(460, Math.max(280, width * 0.62))), seen = points.filter(drawn)
    box.setAttribute('viewBox', `0 0 ${width} ${H}`)
    box.style.height = `${H}px`
    const better = mx?.better && my?.better ? (mx.better === my.better ? `${mx.better} is better in both directions` : `${my.better} is better upwards, ${mx.better} across`) : ''
    put(title, el('span', {}, my ? told(my) : 'Nothing was measured yet', el('span', {class: 'note', style: {display: 'block'}}, better)))
    if (!seen.length) {
      place = {}
      caption.textContent = ''
      box.setAttribute('aria-label', 'no run has both measures yet')
      return put(box, svg('text', {x: width / 2, y: H / 2, 'text-anchor': 'middle', class: 'label'}, 'no run has both measures yet'))
    }
    const ends = (key) => seen.flatMap((p) => [p[key].low ?? p[key].value, p[key].high ?? p[key].value, ...p.members.filter((m) => m.state === 'done').map((m) => m.metrics[view[key]]).filter(number)])
    const X = scale(ends('x'), 56, width - 24), Y = scale(ends('y'), H - 40, 12), parts = frame(X, Y, {left: 56, right: width - 8, bottom: H - 40, name: told(mx)})
    place = {}
    if (view.x === 'rate_nats' && view.y === 'distortion_nats') parts.push(...equal(X, Y, width))
    if (front.length > 1) parts.push(svg('path', {d: front.map((i, k) => `${k ? 'L' : 'M'}${X.at(points[i].x.value)} ${Y.at(points[i].y.value)}`).join(''), fill: 'none', stroke: 'var(--ink-3)', 'data-front': front.join()}))
    const few = seen.length <= 2 * ROWS, taken = []
    for (const p of seen) {
      const [x, y] = place[p.i] = [X.at(p.x.value), Y.at(p.y.value)], hollow = !whole(p) || p.x.low === null, on = p.i === at || view.pick.has(p.i)
      if (few) for (const m of p.members) if (m.state === 'done' && p.members.length > 1 && number(m.metrics[view.x]) && number(m.metrics[view.y])) parts.push(svg('circle', {cx: X.at(m.metrics[view.x]), cy: Y.at(m.metrics[view.y]), r: 2.2, fill: 'none', stroke: 'var(--c1)', 'stroke-width': 0.8}))
      if (number(p.x.low)) parts.push(svg('path', {d: `M${X.at(p.x.low)} ${y}H${X.at(p.x.high)}M${x} ${Y.at(p.y.low ?? p.y.value)}V${Y.at(p.y.high ?? p.y.value)}`, stroke: 'var(--c1)', 'stroke-width': few ? 2 : 0.8}))
      parts.push(svg('circle', {cx: x, cy: y, r: few ? 4.5 : 3, fill: hollow ? 'var(--paper)' : 'var(--c1)', stroke: 'var(--c1)', 'stroke-width': 1.4, 'data-point': p.i}))
      if (on) parts.push(svg('circle', {cx: x, cy: y, r: 9, fill: 'none', stroke: 'var(--ink)', 'stroke-width': 1.6}))
    }
    const order = seen.length <= NAMED ? seen : seen.filter((p) => p.i === at || front.includes(p.i) && front.indexOf(p.i) % Math.ceil(front.length / NAMED) === 0)
    for (const p of order) {
      const [x, y] = place[p.i], said = `${name(p)}${whole(p) ? '' : `, ${p.seeds.length} of ${count(p.members.length, 'seed')}`}`, wide = said.length * 6.4
      const spot = [[x + 10, y - 6], [x + 10, y + 16], [x - 10 - wide, y - 6], [x - 10 - wide, y + 16]].find(([c, d]) => c > 56 && c + wide < width && !taken.some(([e, f, w]) => c < e + w && e < c + wide && Math.abs(f - d) < 14))
      if (!spot) continue
      taken.push([...spot, wide])
      parts.push(svg('text', {class: 'label', x: spot[0], y: spot[1], style: {fill: 'var(--ink)'}}, said))
    }
    parts.push(svg('rect', {class: 'drag', fill: 'var(--accent)', opacity: 0.16, visibility: 'hidden'}))
    put(box, parts)
    const best = front.map((i) => name(points[i]))
    box.setAttribute('aria-label', `${told(my)} against ${told(mx)}, ${count(seen.length, 'setting')}. ${front.length ? `None is better in both than ${best.slice(0, 6).join('; ')}${best.length > 6 ? ` and ${best.length - 6} others` : ''}.` : ''} Arrow keys read the points, Enter opens their runs, x picks.`)
    caption.textContent = `Each point is a setting, the mean over its seeds; crosses: 95 % intervals over seeds${few ? '; rings: single seeds' : '; single seeds are left out of so many'}; open dot: one seed, or not all are in. ${front.length > 1 ? 'Line: settings that no other beats in both (Pareto front). ' : mx.better && my.better ? '' : 'No front is drawn: of one of the two neither more nor less is better. '}${view.x === 'rate_nats' && view.y === 'distortion_nats' ? 'Broken lines join equal ELBO. ' : ''}Click a point to open its runs, drag to pick several.`
  }

  function point(i, spoken = false) {
    at = i
    drawMain()
    const p = points[i]
    read.hidden = !p || !place[i]
    if (read.hidden) return
    const [x, y] = place[i], mx = of(view.x), my = of(view.y), rest = s.measures.filter((m) => m !== mx && m !== my && m.better && p.measures[m.key]).slice(0, 2), flip = x > box.clientWidth * 0.55
    put(read, el('b', {}, `${name(p)}, ${count(p.seeds.length, 'seed')}`), [mx, my, ...rest].map((m) => el('div', {}, `${m.label} ${text(m, p.measures[m.key])}`)), el('div', {class: 'accent'}, p.members.length > 1 ? `Enter: open the ${p.members.length} runs` : 'Enter: open the run'))
    Object.assign(read.style, {left: flip ? 'auto' : `${x + 16}px`, right: flip ? `${box.clientWidth - x + 16}px` : 'auto', top: `${box.getBoundingClientRect().top - box.parentNode.getBoundingClientRect().top + Math.max(0, y - 24)}px`})
    if (spoken) say(read.textContent)
  }

  function openRuns(p) {
    const runs = p.members.filter((m) => m.run), names = runs.map((m) => m.name)
    if (!runs.length) return
    let n = 0
    while (names.every((t) => n < t.length && t[n] === names[0][n])) n++
    go(runs.length === 1 ? `/runs/${runs[0].run}` : `/?q=${encodeURIComponent(`name:${names[0].slice(0, n)}`)}`)
  }

  const spot = (e) => { const b = box.getBoundingClientRect(); return [e.clientX - b.left, e.clientY - b.top] }
  const near = ([x, y], most = 14) => Object.entries(place).map(([i, [a, b]]) => [Math.hypot(a - x, b - y), Number(i)]).filter(([d]) => d <= most).sort((a, b) => a[0] - b[0])[0]?.[1] ?? -1
  const inside = (a, b) => Object.entries(place).filter(([, [x, y]]) => x >= Math.min(a[0], b[0]) && x <= Math.max(a[0], b[0]) && y >= Math.min(a[1], b[1]) && y <= Math.max(a[1], b[1])).map(([i]) => Number(i))
  box.addEventListener('pointerdown', (e) => { if (e.pointerType === 'mouse' && !e.button) from = spot(e) })
  box.addEventListener('pointermove', (e) => {
    const to = spot(e), mark = box.querySelector('.drag')
    if (from && mark && Math.hypot(to[0] - from[0], to[1] - from[1]) > 6) {
      for (const [k, v] of Object.entries({x: Math.min(from[0], to[0]), y: Math.min(from[1], to[1]), width: Math.abs(to[0] - from[0]), height: Math.abs(to[1] - from[1]), visibility: 'visible'})) mark.setAttribute(k, v)
    } else if (near(to) !== at) point(near(to))
  })
  box.addEventListener('pointerleave', () => { if (!from && document.activeElement !== box) point(-1) })
  const up = (e) => {
    if (!from) return
    const to = spot(e), start = from
    from = null
    dragged = Math.hypot(to[0] - start[0], to[1] - start[1]) > 6
    if (dragged) {
      view.pick = new Set(inside(start, to))
      picked()
    }
  }
  addEventListener('pointerup', up)
  box.addEventListener('click', (e) => { const i = near(spot(e)); if (i >= 0 && !dragged) openRuns(points[i]) })
  box.addEventListener('keydown', (e) => {
    const order = points.filter(drawn).sort((a, b) => a.x.value - b.x.value).map((p) => p.i), k = order.indexOf(at)
    if (e.key === 'ArrowRight' || e.key === 'ArrowLeft') point(order[k < 0 ? 0 : Math.max(0, Math.min(order.length - 1, k + (e.key === 'ArrowRight' ? 1 : -1)))], true)
    else if (e.key === 'Enter' && at >= 0) openRuns(points[at])
    else if (e.key === 'x' && at >= 0) tick(at)
    else return
    e.preventDefault()
    e.stopPropagation()
  })
  function tick(i) {
    view.pick.has(i) ? view.pick.delete(i) : view.pick.add(i)
    picked()
  }
  function picked() {
    remember({pick: [...view.pick].join(',')})
    drawMain()
    drawTable()
    drawFoot()
  }

  // ---- each measure over a field --------------------------------------------------------------------------------------

  function drawSmalls() {
    const values = s.over[view.over] ?? [], rest = s.measures.filter((m) => m.key !== view.x && m.key !== view.y), good = [...rest.filter((m) => m.better), ...rest.filter((m) => !m.better)]
    if (values.length < 2) return put(smalls, el('p', {class: 'note'}, 'This sweep is over seeds alone.'))
    put(smalls, good.slice(0, view.all ? undefined : SMALL).map((m) => small(m, values)), good.length > SMALL && !view.all ? button(`all ${good.length} measures`, () => { view.all = true; drawSmalls() }, {class: 'link'}) : null)
  }

  function small(m, values) {
    const numbers = values.every(number), width = Math.max(240, smalls.clientWidth || 380), H = 132
    const seen = points.filter((p) => number(p.measures[m.key]?.value)).map((p) => ({p, v: p.measures[m.key], at: numbers ? p.over[view.over] : values.findIndex((v) => same(v, p.over[view.over]))}))
    if (!seen.length) return null
    const xs = numbers ? seen.map((o) => o.at) : values.map((_, i) => i), log = numbers && Math.min(...xs) > 0 && Math.max(...xs) / Math.min(...xs) >= 10
    const own = [...new Set(xs)].sort((a, b) => a - b), few = !numbers || own.length <= 9, X = scale(xs, 52, width - 16, {log, marks: few ? own : null, texts: few ? own.map((v) => numbers ? written(v) : shown(values[v]).slice(0, 8)) : null})
    const Y = scale(seen.flatMap(({v}) => [v.value, v.low ?? v.value, v.high ?? v.value]), H - 36, 8, {most: 3}), parts = frame(X, Y, {left: 52, right: width - 8, bottom: H - 36, name: `${view.over}${log ? ' (log axis)' : ''}`})
    const lines = new Map()
    for (const one of seen) {
      const key = JSON.stringify(fields().filter((f) => f !== view.over).map((f) => one.p.over[f]))
      lines.set(key, [...lines.get(key) ?? [], one])
    }
    if (lines.size <= 4) for (const line of lines.values()) {
      line.sort((a, b) => a.at - b.at)
      const banded = line.filter(({v}) => number(v.low))
      if (banded.length > 1) parts.push(svg('path', {d: `M${banded.map(({at, v}) => `${X.at(at)} ${Y.at(v.high)}`).join('L')}L${banded.reverse().map(({at, v}) => `${X.at(at)} ${Y.at(v.low)}`).join('L')}Z`, fill: 'var(--c1)', opacity: 0.16}))
      parts.push(svg('path', {d: `M${line.map(({at, v}) => `${X.at(at)} ${Y.at(v.value)}`).join('L')}`, fill: 'none', stroke: 'var(--c1)', 'stroke-width': 1.4}))
    }
    for (const {p, v, at} of seen) {
      if (number(v.low)) parts.push(svg('path', {d: `M${X.at(at)} ${Y.at(v.low)}V${Y.at(v.high)}`, stroke: 'var(--c1)', 'stroke-width': 1.4}))
      parts.push(svg('circle', {cx: X.at(at), cy: Y.at(v.value), r: 3, fill: number(v.low) && whole(p) ? 'var(--c1)' : 'var(--paper)', stroke: 'var(--c1)'}, svg('title', {}, `${name(p)}: ${text(m, v)}`)))
    }
    const said = `${m.label} over ${view.over}: ${seen.length > ROWS ? `${plain(m, Math.min(...seen.map((o) => o.v.value)))} to ${plain(m, Math.max(...seen.map((o) => o.v.value)))}` : seen.map(({p, v}) => `${shown(p.over[view.over])} ${text(m, v)}`).join('; ')}`
    return el('figure', {class: 'chart'}, el('h3', {}, el('span', {}, told(m), m.better ? el('span', {class: 'note'}, `, ${m.better} is better`) : null)), svg('svg', {viewBox: `0 0 ${width} ${H}`, style: {height: `${H}px`}, role: 'img', 'aria-label': said}, parts))
  }

  // ---- the table ------------------------------------------------------------------------------------------------------

  function drawTable() {
    const rest = s.measures.filter((m) => m.key !== view.x && m.key !== view.y && m.better), columns = [...new Set([of(view.x), of(view.y), ...rest])].filter(Boolean).slice(0, COLUMNS), most = view.rows || points.length <= ROWS ? points.length : ROWS
    const square = (m) => { const said = `seed ${m.seed}: ${m.state}${m.why ? `, ${m.why}` : ''}`, mark = el('i', {class: m.state, 'aria-hidden': 'true'}, GLYPHS[m.state] ?? ''); return m.run ? link(`/runs/${m.run}`, {class: 'square', title: said, 'aria-label': said}, mark) : el('span', {class: 'square', title: said}, mark) }
    const row = (p) => {
      const bad = p.members.filter((m) => m.state === 'failed' || m.state === 'unreadable'), live = p.members.filter((m) => m.state === 'running').length
      return el('tr', {class: view.pick.has(p.i) ? 'ticked' : ''}, el('td', {}, el('input', {type: 'checkbox', id: `set-${p.i}`, checked: view.pick.has(p.i), 'aria-label': `pick ${name(p)}`, onchange: () => tick(p.i)})), fields().map((f) => el('th', {scope: 'row'}, named(f in p.over ? shown(p.over[f]) : 'all', 24))), el('td', {class: 'squares'}, p.members.map(square)),
        p.seeds.length ? columns.map((m) => el('td', {class: 'num'}, p.measures[m.key] ? text(m, p.measures[m.key]) : '')) : null, el('td', {class: `notes ${bad.length ? 'bad' : 'note'}`, colspan: p.seeds.length ? null : columns.length + 1}, bad.length ? named(`× ${count(bad.length, 'run')} failed: ${bad[0].why || 'it ended without a word'}`, p.seeds.length ? 60 : 200) : live ? `${live} running` : p.seeds.length === 1 ? 'one seed, no interval' : ''))
    }
    put(listed, el('div', {class: 'scroll'}, el('table', {class: 'sweep'},
      el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, el('span', {class: 'hidden'}, 'picked')), fields().map((f) => el('th', {scope: 'col'}, f)), el('th', {scope: 'col'}, 'Seeds'), columns.map((m) => el('th', {scope: 'col', class: 'num'}, told(m))), el('th', {scope: 'col'}, el('span', {class: 'hidden'}, 'notes')))),
      el('tbody', {}, points.slice(0, most).map(row)))), el('p', {class: 'note'}, 'A square is a seed: ■ done, ◧ running, · waiting, □ stopped, × failed; it opens its run. Means with 95 % intervals over seeds.'), most < points.length ? button(`all ${points.length} settings`, () => { view.rows = true; drawTable() }, {class: 'link'}) : null, s.command ? el('div', {class: 'command'}, el('code', {}, named(s.command, 4000)), button('copy', () => navigator.clipboard?.writeText(s.command), {class: 'link'})) : null)
  }

  function drawFoot() {
    const chosen = [...view.pick].sort((a, b) => a - b).map((i) => points[i]).filter(Boolean), runs = chosen.map((p) => p.members.find((m) => m.state === 'done')).filter(Boolean)
    put(foot, chosen.length ? el('div', {class: 'foot', role: 'region', 'aria-label': 'picked settings'}, el('b', {}, `${count(chosen.length, 'setting')} picked`), el('span', {class: 'soft'}, 'compared by the first finished seed of each', runs.length > MOST ? `; ${MOST} at most` : ''),
      el('div', {class: 'end'}, button('Unpick', () => { view.pick.clear(); picked() }), button('Compare', () => go(`/compare?runs=${runs.map((m) => m.run).join(',')}`), {class: 'main', disabled: runs.length < 2 || runs.length > MOST}))) : null)
  }

  function draw() {
    gather()
    drawTop()
    if (!controls.contains(document.activeElement)) drawControls()
    drawMain()
    drawSmalls()
    drawTable()
    drawFoot()
  }
  taken(s)
  draw()
  let wide = main.clientWidth
  const watch = new ResizeObserver(() => { if (wide !== main.clientWidth) { wide = main.clientWidth; drawMain(); drawSmalls() } })
  watch.observe(main)
  const soon = () => {
    timer ||= setTimeout(async () => {
      timer = 0
      const next = await get(`/api/sweeps/${id}`).catch(() => null)
      if (closed || !next?.measures) return
      s = taken(next)
      draw()
      if (s.job?.alive && s.state !== 'running') soon()
    }, AGAIN_MS)
  }
  return {
    title: s.name, stream: {list: true, run: '', offset: 0},
    events: {runs: ({changed}) => { const own = new Set(s.members.map((m) => m.run)); if (changed.some((r) => own.has(r.id) || r.name.startsWith(`${s.name}/`))) soon() }},
    keys: {s: () => { const live = s.members.find((m) => m.state === 'running'); return live ? void stop(live) : false }, Escape: () => go('/sweeps')},
    close: () => { closed = true; clearTimeout(timer); watch.disconnect(); removeEventListener('pointerup', up) },
  }
}

// [x, y, i] that no other beats in both, by one sorting; "more" or "less" says which way each is better, '' that neither is.
export function pareto(points, x, y) {
  if (!x || !y) return []
  const sx = x === 'more' ? -1 : 1, sy = y === 'more' ? -1 : 1, kept = []
  let best = Infinity
  for (const [, b, i] of [...points].sort((p, q) => sx * (p[0] - q[0]) || sy * (p[1] - q[1]))) if (sy * b < best) { best = sy * b; kept.push(i) }
  return kept
}

// From values to pixels, with marks that stand at round numbers.
function scale(values, from, to, {log = false, most = 5, marks = null, texts = null} = {}) {
  let low = Math.min(...values), high = Math.max(...values)
  if (log) [low, high] = [low / 1.1, high * 1.1]
  else {
    const room = (high - low || Math.abs(high) || 1) * 0.06
    ;[low, high] = [low >= 0 && low - room < 0 && !marks ? 0 : low - room, high + room]
  }
  const f = log ? Math.log : (v) => v, at = (v) => Number((from + (f(v) - f(low)) / (f(high) - f(low)) * (to - from)).toFixed(1))
  const found = marks ?? (log ? logTicks(low, high) : ticks(low, high, most))
  return {at, low, high, marks: found, texts: texts ?? (log ? found.map((v) => written(v)) : tickText(found))}
}

function frame(X, Y, {left, right, bottom, name}) {
  return [...Y.marks.flatMap((v, i) => [svg('line', {x1: left, x2: right, y1: Y.at(v), y2: Y.at(v), stroke: 'var(--rule)'}), svg('text', {x: left - 8, y: Y.at(v) + 4, 'text-anchor': 'end'}, Y.texts[i])]),
    svg('line', {x1: left, x2: right, y1: bottom, y2: bottom, stroke: 'var(--edge)'}), ...X.marks.flatMap((v, i) => i && X.at(v) - X.at(X.marks[i - 1]) < 4 * X.texts[i].length + 10 ? [] : [svg('line', {x1: X.at(v), x2: X.at(v), y1: bottom, y2: bottom + 4, stroke: 'var(--edge)'}), svg('text', {x: X.at(v), y: bottom + 16, 'text-anchor': 'middle'}, X.texts[i])]),
    svg('text', {x: right, y: bottom + 32, 'text-anchor': 'end'}, name)]
}

// Lines of equal ELBO = -(rate + distortion), each named where it leaves the frame.
function equal(X, Y, width) {
  return ticks(X.low + Y.low, X.high + Y.high, 6).flatMap((sum) => {
    const a = Math.max(X.low, sum - Y.high), b = Math.min(X.high, sum - Y.low)
    if (b - a < (X.high - X.low) * 0.12) return []
    return [svg('line', {x1: X.at(a), y1: Y.at(sum - a), x2: X.at(b), y2: Y.at(sum - b), stroke: 'var(--rule)', 'stroke-dasharray': '3 4'}), svg('text', {x: Math.min(X.at(b), width - 12), y: Y.at(sum - b) - 4, 'text-anchor': 'end'}, `ELBO ${written(-sum)}`)]
  })
}
