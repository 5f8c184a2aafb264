// The first tab of a run: curves, samples, checks, the last lines of the log, measures. A page asks for the columns that it
// shows, each chart at its own width; what has not changed is not drawn anew.

import {el, put, held, link, named, button, kbd, say} from './dom.js'
import {get} from './api.js'
import {Chart, nearest} from './chart.js'
import {term, isMore} from './words.js'
import {remember} from './app.js'
import {picture} from './tabs.js'

const AGAIN_MS = 400, CHECK_MS = 15000, SHEET_MS = 5000, LOG_MS = 3000, SMALL = 6, ALL_ROWS = 1e6
const PARTS = [['train', 'train', 'var(--c2)'], ['valid', 'validation', 'var(--c1)']]
const GLYPHS = {ok: ['✓', 'good'], warn: ['△', 'warn'], alarm: ['×', 'bad']}
const column = (s, axis) => s[axis] ?? s.step
const nums = (list) => list.map((v) => v === null ? NaN : v)
const both = (what) => PARTS.map(([part]) => `${part}/${what}`)

function viewed(query) {
  const zoom = (query.get('zoom') ?? '').split(',').map(Number), axis = ['step', 'time'].includes(query.get('x')) ? query.get('x') : 'epoch'
  return {axis, log: query.get('y') === 'log', smooth: Number(query.get('smooth') ?? 0.1) || 0, behind: query.get('behind') ?? '', zoom: zoom.length === 2 && zoom.every(Number.isFinite) ? zoom : null, follow: query.get('follow') === '1', at: query.get('at') ?? ''}
}

export async function overview(body, {id, query, run}) {
  const view = {...viewed(query), all: false}
  const left = el('div'), right = el('div'), controls = el('div', {class: 'controls'}), smalls = el('div', {class: 'small'}), measures = el('section', {class: 'part'}), fault = el('div')
  const rows = (terms) => async () => table(await get(`/api/runs/${id}/history?${wanted(terms().flatMap(both), ALL_ROWS, 0)}`))
  const main = new Chart({onzoom: zoomed, onpick: pick, rows: rows(() => [chosen()])})
  const small = new Map()
  put(body, el('div', {class: 'live'}, left, right))
  put(left, main.node, controls, fault, smalls, measures)
  const parts = {verdict: el('p', {class: 'verdict', hidden: true}), headline: el('section', {class: 'part'}), samples: el('section', {class: 'part'}), more: el('section', {class: 'part'}), checks: el('section', {class: 'part'}), log: el('section', {class: 'part'})}
  put(right, Object.values(parts))
  let data = {names: [], series: {}, offset: 0}, behind = null, timer = 0, last = 0, took = 0, closed = false, asking = 0, others = [], pictured = 0, later = 0, logged = 0, levels = null, lines4 = []
  const turned = [] // checks that turned while this page was open

  // ---- curves -------------------------------------------------------------------------------------------------------

  const terms = () => [...new Set(data.names.map((n) => n.split('/').slice(1).join('/')))]
  const chosen = () => (run().curve_name ?? '').split('/').slice(1).join('/') || terms()[0] || ''
  const rest = () => terms().filter((t) => t !== chosen()).sort((a, b) => Number(/gradient/.test(a)) - Number(/gradient/.test(b)))
  const smallShown = () => rest().slice(0, view.all ? undefined : SMALL)

  function wanted(names, width, smooth = view.smooth) {
    const asked = new URLSearchParams({width: Math.round(width), axis: view.axis, smooth})
    for (const name of names) asked.append('name', name)
    if (view.zoom && width < ALL_ROWS) [['low', view.zoom[0]], ['high', view.zoom[1]]].forEach(([n, v]) => asked.set(n, v))
    return asked
  }
  const columns = (names, width) => get(`/api/runs/${id}/history?${wanted(names, width)}`)

  async function load() {
    last = Date.now()
    if (view.follow) along()
    const mine = ++asking, main_ = chosen(), listed = smallShown(), width = small.values().next().value?.node.clientWidth || 240
    const few = () => columns(smallShown().flatMap(both), width)
    try {
      let [one, two] = await Promise.all([columns(main_ ? both(main_) : [], main.node.clientWidth || 700), listed.length ? few() : null])
      if (mine !== asking || closed) return
      data = {...one, series: {...two?.series, ...one.series}}
      if (!two && smallShown().length) {
        two = await few()
        if (mine !== asking || closed) return
        data.series = {...two.series, ...one.series}
      }
      took = Date.now() - last
      put(fault)
      draw()
    } catch (error) { if (!closed) put(fault, el('p', {class: 'said-bad'}, error.message)) }
  }

  function lines(what) {
    return PARTS.flatMap(([part, name, color]) => {
      const s = data.series[`${part}/${what}`]
      return s && s.value.length ? [{name, color, x: nums(column(s, view.axis)), y: nums(s.value), mean: part === 'train' && s.mean ? nums(s.mean) : null}] : []
    })
  }

  function draw() {
    const r = run(), live = r.state === 'running', what = chosen(), shown = smallShown(), more = rest().length
    const ends = {epoch: r.epochs, step: r.steps}[view.axis], end = view.zoom ? undefined : live || behind ? ends : undefined
    const main_ = lines(what), own = both(what).map((n) => data.series[n]).filter(Boolean)
    const exact = own.every((s) => s.exact)
    if (behind) {
      const s = both(what).reverse().map((n) => behind.series[n]).find(Boolean)
      if (s) main_.unshift({name: behind.name, color: 'var(--base)', text: 'var(--base-text)', x: nums(column(s, view.axis)), y: nums(s.value), width: 1, plain: true})
    }
    const now = live ? Math.max(...main_.filter((l) => !l.plain).map((l) => l.x.at(-1) ?? 0)) : NaN
    main.set({title: what ? `${term(what)}, validation and train` : 'Loss', note: `${isMore(what) ? 'more' : 'less'} is better${exact ? '' : '; of each pixel column the lowest and the highest'}`,
      lines: main_, log: view.log, axis: view.axis, zoom: view.zoom, end, now, waiting: live ? 'waiting for the first logged step' : 'nothing was logged'})
    drawControls()
    for (const t of shown) {
      if (!small.has(t)) {
        small.set(t, new Chart({small: true, onzoom: zoomed, onpick: pick, rows: rows(() => [t])}))
        smalls.append(small.get(t).node)
      }
      small.get(t).set({title: term(t), lines: lines(t), log: /gradient_norm|^lr$/.test(t) && lines(t).every((l) => l.y.every((v) => !(v <= 0))), axis: view.axis, zoom: view.zoom, end})
    }
    const all = smalls.querySelector('.all')
    if (more > SMALL && !view.all && !all) smalls.append(button(`all ${more}`, (e) => { view.all = true; e.target.remove(); load() }, {class: 'link all'}))
    drawMeasures()
  }

  // Every logged row as one table: the rows of its columns are put together by step.
  function table({series}) {
    const names = Object.keys(series), byStep = new Map()
    for (const name of names) series[name].step.forEach((step, i) => {
      const row = byStep.get(step) ?? [step, series[name].epoch[i], series[name].time[i], ...names.map(() => null)]
      row[3 + names.indexOf(name)] = series[name].value[i]
      byStep.set(step, row)
    })
    return [['step', 'epoch', 'time_s', ...names], ...[...byStep.values()].sort((a, b) => a[0] - b[0])]
  }

  // ---- what is seen of them -----------------------------------------------------------------------------------------

  const zoomText = () => view.zoom ? view.zoom.map((v) => Number(v.toPrecision(6))).join(',') : ''
  function zoomed(z) {
    Object.assign(view, {zoom: z, follow: false})
    remember({zoom: zoomText(), follow: ''})
    load()
  }

  // The window keeps its width and its right edge goes with the newest step; without a window it is the last fifth.
  const now = () => ({epoch: run().epoch, step: run().step, time: run().time_s})[view.axis] ?? 0
  function along() {
    const [low, high] = view.zoom ?? [0.8 * now(), now()], width = high - low
    if (width > 0 && now() > 0) view.zoom = [Math.max(0, now() - width), Math.max(now(), width)]
  }
  function follow() {
    view.follow = !view.follow
    if (view.follow) along()
    remember({follow: view.follow ? '1' : '', zoom: zoomText()}, {push: true})
    say(view.follow ? 'follows the newest step' : 'stays where it is')
    load()
  }

  function set(name, value) {
    if (name === 'x') Object.assign(view, {axis: value, zoom: null, follow: false})
    else view.log = value === 'log'
    remember({x: view.axis === 'epoch' ? '' : view.axis, y: view.log ? 'log' : '', zoom: zoomText(), follow: view.follow ? '1' : ''}, {push: true})
    load()
  }

  function drawControls() {
    const choice = (name, values, value) => el('label', {}, `${name} `, el('select', {id: `axis-${name}`, onchange: (e) => set(name, e.target.value)}, values.map((v) => el('option', {selected: v === value}, v))))
    const told = () => view.smooth ? `${Math.round(100 * view.smooth)} % of the rows, raw line stays` : 'off', live = run().state === 'running'
    held(controls, [view.axis, view.log, view.behind, others.map((o) => o.id), Boolean(view.zoom), view.follow, live], () => {
      const width = el('span', {}, told())
      return [el('label', {}, 'smoothing ', el('input', {type: 'range', id: 'smooth', min: 0, max: 0.4, step: 0.02, value: view.smooth, oninput: (e) => {
        view.smooth = Number(e.target.value)
        width.textContent = told()
        remember({smooth: String(view.smooth)})
        clearTimeout(timer)
        timer = setTimeout(load, 120)
      }}), ' ', width), choice('x', ['epoch', 'step', 'time'], view.axis), choice('y', ['linear', 'log'], view.log ? 'log' : 'linear'),
      others.length ? el('label', {}, 'grey: ', el('select', {id: 'behind', 'aria-label': 'a run to stand behind', onchange: (e) => { view.behind = e.target.value; remember({behind: view.behind}, {push: true}); loadBehind() }}, el('option', {value: ''}, 'none'), others.map((o) => el('option', {value: o.id, selected: o.id === view.behind}, o.name)))) : null,
      live ? button('follow now', follow, {class: 'link', id: 'follow', 'aria-pressed': String(view.follow)}, kbd('.')) : null, view.zoom ? button('whole', () => zoomed(null), {class: 'link', id: 'whole'}, kbd('0')) : null]
    })
  }

  async function loadBehind() {
    const other = others.find((o) => o.id === view.behind)
    try {
      behind = other ? {...await get(`/api/runs/${other.id}/history?${new URLSearchParams([['width', 800], ['axis', view.axis], ...both(chosen()).map((n) => ['name', n])])}`), name: other.name} : null
    } catch (error) { put(fault, el('p', {class: 'said-bad'}, error.message)) }
    if (!closed) draw()
  }

  function drawMeasures() {
    const r = run(), listed = r.measures ?? [], h = r.headline
    held(measures, listed, () => listed.length ? [el('h2', {}, 'Measures', el('span', {class: 'note'}, '95 % intervals; how each was measured is in its tooltip and in the report')), el('table', {}, el('thead', {}, el('tr', {}, ['Measure', 'Value', 'Beside it', 'Split'].map((t, i) => el('th', {scope: 'col', class: i === 1 ? 'num' : ''}, t)))),
      el('tbody', {}, listed.map((m) => el('tr', {title: m.how}, el('td', {}, m.label, m.better ? el('span', {class: 'note'}, ` ${m.better} is better`) : null), el('td', {class: 'num'}, m.text, m.unit ? el('span', {class: 'note'}, ` ${m.unit}`) : null), el('td', {class: 'note'}, m.references.map((x) => `${x.name} ${x.text}`).join('; ')), el('td', {class: 'note'}, m.split)))))] : null)
    held(parts.headline, h, () => h ? [el('h2', {}, h.label), el('p', {style: {font: '28px/34px var(--sans)'}}, h.text), el('p', {class: 'note'}, [h.unit, h.meaning].filter(Boolean).join('; ')), h.references?.length ? el('p', {class: 'note'}, `beside it: ${h.references.map((x) => `${x.name} ${x.text}`).join(', ')}`) : null] : null)
  }

  // ---- pictures -----------------------------------------------------------------------------------------------------

  const sheets = () => (run().media ?? []).filter((m) => m.group === 'samples')

  // The sheet nearest to what was clicked in a chart.
  function pick(x) {
    const s = Object.values(data.series).sort((a, b) => b.step.length - a.step.length)[0], all = sheets().filter((m) => m.at !== null)
    if (!s || !all.length) return
    const i = nearest(nums(column(s, view.axis)), x), far = (m) => Math.abs(m.at - (m.unit === 'step' ? s.step : s.epoch)[i])
    const found = all.reduce((best, m) => far(m) < far(best) ? m : best)
    view.at = found === all.at(-1) ? '' : String(found.at)
    remember({at: view.at}, {push: true})
    drawPictures()
    say(`samples of ${found.unit} ${found.at}`)
  }

  function drawPictures() {
    const r = run(), all = sheets(), newest = all.at(-1), m = all.find((one) => String(one.at) === view.at) ?? newest, wait = SHEET_MS - (Date.now() - pictured)
    clearTimeout(later)
    if (pictured && m === newest && r.state === 'running' && wait > 0 && m && parts.samples.shown !== m.id + m.stamp && parts.samples.at === view.at) later = setTimeout(drawPictures, wait) // at most one sheet every 5 s
    else {
      held(parts.samples, [m?.id, m?.stamp, all.length, m === newest, r.state], () => {
        pictured = Date.now()
        Object.assign(parts.samples, {shown: m ? m.id + m.stamp : '', at: view.at})
        return [el('h2', {}, 'Samples', el('span', {class: 'note'}, m ? `same draws each time, ${m.unit} ${m.at}` : '')), m ? [link(`/runs/${id}/samples${m === newest ? '' : `?at=${m.at}`}`, {'aria-label': 'all samples'}, picture(id, m, {most: 380})), el('p', {class: 'note'}, `${all.length} over time; `, link(`/runs/${id}/samples`, {}, 'seen over time'), m === newest ? null : ['; ', button(`newest, ${newest.unit} ${newest.at}`, () => { view.at = ''; remember({at: ''}, {push: true}); drawPictures() }, {class: 'link', id: 'newest'})])] : el('p', {class: 'note'}, r.state === 'running' ? 'drawn at the end of an epoch' : 'none were drawn')]
      })
    }
    const made = (r.media ?? []).find((one) => one.name.startsWith('reconstruction') && one.kind === 'png')
    held(parts.more, [made?.id, made?.stamp], () => made ? [el('h2', {}, 'Reconstruction', el('span', {class: 'note'}, 'originals over what was decoded')), picture(id, made, {most: 380})] : null)
  }

  // What was found, as the report begins; there is none before the end.
  async function drawVerdict() {
    const {verdict} = run().state === 'done' ? await get(`/api/runs/${id}/verdict`).catch(() => ({verdict: ''})) : {verdict: ''}
    if (closed) return
    parts.verdict.textContent = verdict
    parts.verdict.hidden = !verdict
  }

  // ---- checks and log -----------------------------------------------------------------------------------------------

  async function drawChecks() {
    const found = await get(`/api/runs/${id}/checks`).catch((error) => ({findings: null, why: error.message}))
    if (closed) return
    const findings = found.findings ?? []
    if (found.findings) turn(findings)
    held(parts.checks, found, () => {
      const items = findings.map((c) => el('li', {}, el('span', {class: GLYPHS[c.level]?.[1], title: c.level}, GLYPHS[c.level]?.[0] ?? '·'), el('div', {}, el('b', {}, c.head), el('span', {class: 'soft'}, ` ${c.why}`), c.level !== 'ok' && c.try ? el('p', {class: 'note'}, `try: ${c.try}`) : null)))
      const fine = findings.filter((c) => c.level === 'ok').length, bad = items.slice(0, items.length - fine)
      return [el('h2', {}, 'Checks', found.step && run().state === 'running' ? el('span', {class: 'note'}, `as of step ${found.step.toLocaleString('en')}`) : null), items.length ? el('ul', {class: 'checks'}, bad, fine && bad.length ? el('li', {}, el('span', {class: 'good'}, '✓'), el('details', {}, el('summary', {}, `${fine} in order`), el('ul', {class: 'checks'}, items.slice(-fine)))) : items.slice(bad.length)) : el('p', {class: 'note'}, found.why)]
    })
  }

  // A check that turns is written once and spoken once; those that a page finds as they are have not turned.
  function turn(findings) {
    if (!findings.length) return
    const before = levels, changed = before ? findings.filter((c) => (before.get(c.name) ?? 'ok') !== c.level) : []
    levels = new Map(findings.map((c) => [c.name, c.level]))
    for (const c of changed) {
      const clock = new Date().toTimeString().slice(0, 8)
      turned.push(`${clock} ${GLYPHS[c.level]?.[0] ?? '·'} ${c.head}`)
      say(`${run().name}: ${c.head}, ${c.why}`)
    }
    if (changed.length) showLog()
  }

  async function drawLog() {
    logged = Date.now()
    const {log, said} = await get(`/api/runs/${id}/log?lines=4`).catch(() => ({log: lines4, said: []}))
    if (closed) return
    lines4 = (said.length ? said : log).slice(-4)
    showLog()
  }
  function showLog() {
    const shown = [...lines4, ...turned.slice(-3)]
    held(parts.log, shown, () => [el('h2', {}, 'Log', el('span', {class: 'note'}, link(`/runs/${id}/log`, {}, 'whole log'))), shown.length ? el('div', {class: 'mono-lines'}, shown.map((t) => el('div', {}, named(t, 120)))) : el('p', {class: 'note'}, 'nothing was said')])
  }

  await load()
  drawPictures()
  drawVerdict()
  drawChecks()
  drawLog()
  get('/api/runs').then(({runs}) => {
    const r = run()
    others = runs.filter((o) => o.id !== id && o.fingerprint && o.fingerprint === r.fingerprint && o.curve_name === r.curve_name && o.curve.length > 1)
    if (closed) return
    drawControls()
    if (view.behind) loadBehind()
  }, () => {})
  const checks = setInterval(() => { if (run().state === 'running' && !document.hidden) { drawChecks(); drawLog() } }, CHECK_MS)
  let next = 0
  const soon = () => {
    if (next || closed) return
    next = setTimeout(() => { next = 0; load() }, Math.max(0, Math.max(AGAIN_MS, 3 * took) - (Date.now() - last)))
  }
  return {
    offset: data.offset,
    rows: () => { soon(); if (Date.now() - logged > LOG_MS) drawLog() },
    anew: load,
    changed: () => { drawPictures(); drawVerdict(); drawChecks(); drawLog(); soon() },
    told: (address) => {
      const before = view.behind
      Object.assign(view, viewed(address))
      load()
      drawPictures()
      if (before !== view.behind) loadBehind()
    },
    keys: {l: () => set('y', view.log ? 'linear' : 'log'), 0: () => zoomed(null), '.': () => run().state === 'running' ? follow() : false},
    close: () => {
      closed = true
      clearInterval(checks)
      clearTimeout(next)
      clearTimeout(later)
      main.close()
      for (const c of small.values()) c.close()
    },
  }
}
