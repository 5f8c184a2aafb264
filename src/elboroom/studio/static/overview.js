// The first tab of a run: curves, samples, checks, the last lines of the log, measures.

import {el, put, link, named, button} from './dom.js'
import {get} from './api.js'
import {Chart} from './chart.js'
import {term, isMore} from './words.js'
import {remember} from './app.js'
import {picture} from './tabs.js'

const AGAIN_MS = 1000, CHECK_MS = 15000, SMALL = 6
const PARTS = [['train', 'train', 'var(--c2)'], ['valid', 'validation', 'var(--c1)']]

export async function overview(body, {id, query, run}) {
  const view = {axis: query.get('x') ?? 'epoch', log: query.get('y') === 'log', smooth: Number(query.get('smooth') ?? 0.1), behind: query.get('behind') ?? '', zoom: (query.get('zoom') ?? '').split(',').map(Number)}
  if (view.zoom.length !== 2 || !view.zoom.every(Number.isFinite)) view.zoom = null
  const left = el('div'), right = el('div'), controls = el('div', {class: 'controls'}), smalls = el('div', {class: 'small'}), measures = el('section', {class: 'part'})
  const main = new Chart({onzoom: (z) => { view.zoom = z; remember({zoom: z ? z.map((v) => Number(v.toPrecision(6))).join(',') : ''}); load() }})
  const small = new Map()
  put(body, el('div', {class: 'live'}, left, right))
  put(left, main.node, controls, smalls, measures)
  const parts = {headline: el('section', {class: 'part'}), samples: el('section', {class: 'part'}), more: el('section', {class: 'part'}), checks: el('section', {class: 'part'}), log: el('section', {class: 'part'})}
  put(right, Object.values(parts))
  let data = null, behind = null, timer = 0, last = 0, closed = false, asking = 0, others = []

  async function load() {
    last = Date.now()
    const mine = ++asking, asked = new URLSearchParams({width: Math.round(main.node.clientWidth || 700), axis: view.axis, smooth: view.smooth})
    if (view.zoom) [['low', view.zoom[0]], ['high', view.zoom[1]]].forEach(([n, v]) => asked.set(n, v))
    try {
      const answer = await get(`/api/runs/${id}/history?${asked}`)
      if (mine !== asking || closed) return
      data = answer
      draw()
    } catch (error) { put(smalls, el('p', {class: 'said-bad'}, error.message)) }
  }

  const column = (s) => s[view.axis] ?? s.step
  const nums = (list) => list.map((v) => v === null ? NaN : v)

  function lines(what) {
    return PARTS.flatMap(([part, name, color]) => {
      const s = data.series[`${part}/${what}`]
      return s && s.value.length ? [{name, color, x: nums(column(s)), y: nums(s.value), mean: part === 'train' && s.mean ? nums(s.mean) : null}] : []
    })
  }

  function draw() {
    const r = run(), live = r.state === 'running', terms = [...new Set(data.names.map((n) => n.split('/').slice(1).join('/')))]
    const chosen = (r.curve_name ?? '').split('/').slice(1).join('/') || terms[0] || ''
    const ends = {epoch: r.epochs, step: r.steps}[view.axis], end = view.zoom ? undefined : live || behind ? ends : undefined
    const main_ = lines(chosen)
    if (behind) {
      const s = behind.series[`valid/${chosen}`] ?? behind.series[`train/${chosen}`]
      if (s) main_.unshift({name: behind.name, color: 'var(--base)', text: 'var(--base-text)', x: nums(column(s)), y: nums(s.value), width: 1, plain: true})
    }
    const now = live ? Math.max(...main_.filter((l) => !l.plain).map((l) => l.x.at(-1) ?? 0)) : NaN
    const exact = Object.values(data.series).every((s) => s.exact)
    main.set({title: chosen ? `${term(chosen)}, validation and train` : 'Loss', note: `${isMore(chosen) ? 'more' : 'less'} is better${exact ? '' : '; of each pixel column the lowest and the highest'}`,
      lines: main_, log: view.log, axis: view.axis, zoom: view.zoom, end, now, waiting: live ? 'waiting for the first logged step' : 'nothing was logged'})
    drawControls()
    const rest = terms.filter((t) => t !== chosen).sort((a, b) => Number(/gradient/.test(a)) - Number(/gradient/.test(b)))
    for (const t of rest.slice(0, view.all ? undefined : SMALL)) {
      if (!small.has(t)) {
        small.set(t, new Chart({small: true, onzoom: main.onzoom}))
        smalls.append(small.get(t).node)
      }
      small.get(t).set({title: term(t), lines: lines(t), log: /gradient_norm|^lr$/.test(t) && lines(t).every((l) => l.y.every((v) => !(v <= 0))), axis: view.axis, zoom: view.zoom, end})
    }
    if (rest.length > SMALL && !view.all && !smalls.querySelector('.all')) smalls.append(button(`all ${rest.length}`, (e) => { view.all = true; e.target.remove(); draw() }, {class: 'link all'}))
    drawMeasures()
  }

  function drawControls() {
    if (controls.contains(document.activeElement)) return
    const pick = (name, values, now) => el('label', {}, `${name} `, el('select', {onchange: (e) => set(name, e.target.value)}, values.map((v) => el('option', {selected: v === now}, v))))
    const set = (name, value) => {
      if (name === 'x') [view.axis, view.zoom] = [value, null]
      else view.log = value === 'log'
      remember({x: view.axis === 'epoch' ? '' : view.axis, y: view.log ? 'log' : '', zoom: view.zoom ? view.zoom.join(',') : ''})
      document.activeElement?.blur()
      load()
    }
    const width = el('span', {}, view.smooth ? `${Math.round(100 * view.smooth)} % of the rows, raw line stays` : 'off')
    put(controls, el('label', {}, 'smoothing ', el('input', {type: 'range', min: 0, max: 0.4, step: 0.02, value: view.smooth, oninput: (e) => {
      view.smooth = Number(e.target.value)
      width.textContent = view.smooth ? `${Math.round(100 * view.smooth)} % of the rows, raw line stays` : 'off'
      remember({smooth: String(view.smooth)})
      clearTimeout(timer)
      timer = setTimeout(load, 120)
    }}), ' ', width), pick('x', ['epoch', 'step', 'time'], view.axis), pick('y', ['linear', 'log'], view.log ? 'log' : 'linear'),
      others.length ? el('label', {}, 'grey: ', el('select', {'aria-label': 'a run to stand behind', onchange: (e) => { view.behind = e.target.value; remember({behind: view.behind}); loadBehind() }}, el('option', {value: ''}, 'none'), others.map((o) => el('option', {value: o.id, selected: o.id === view.behind}, o.name)))) : null,
      view.zoom ? button('whole', () => main.onzoom(null), {class: 'link'}) : null)
  }

  async function loadBehind() {
    const other = others.find((o) => o.id === view.behind)
    behind = other ? {...await get(`/api/runs/${other.id}/history?width=800`), name: other.name} : null
    if (data) draw()
  }

  function drawMeasures() {
    const r = run(), rows = r.measures ?? []
    put(measures, rows.length ? [el('h2', {}, 'Measures', el('span', {class: 'note'}, '95 % intervals; how each was measured is in its tooltip and in the report')), el('table', {}, el('thead', {}, el('tr', {}, ['Measure', 'Value', 'Beside it', 'Split'].map((t, i) => el('th', {scope: 'col', class: i === 1 ? 'num' : ''}, t)))),
      el('tbody', {}, rows.map((m) => el('tr', {title: m.how}, el('td', {}, m.label, m.better ? el('span', {class: 'note'}, ` ${m.better} is better`) : null), el('td', {class: 'num'}, m.text, m.unit ? el('span', {class: 'note'}, ` ${m.unit}`) : null), el('td', {class: 'note'}, m.references.map((x) => `${x.name} ${x.text}`).join('; ')), el('td', {class: 'note'}, m.split)))))] : null)
    const h = r.headline
    put(parts.headline, h ? [el('h2', {}, h.label), el('p', {style: {font: '28px/34px var(--sans)'}}, h.text), el('p', {class: 'note'}, [h.unit, h.meaning].filter(Boolean).join('; ')), h.references?.length ? el('p', {class: 'note'}, `beside it: ${h.references.map((x) => `${x.name} ${x.text}`).join(', ')}`) : null] : null)
  }

  function drawPictures() {
    const r = run(), sheets = (r.media ?? []).filter((m) => m.group === 'samples'), newest = sheets.at(-1)
    put(parts.samples, el('h2', {}, 'Samples', el('span', {class: 'note'}, newest ? `same draws each time, ${newest.unit} ${newest.at}` : '')), newest ? [link(`/runs/${id}/samples`, {'aria-label': 'all samples'}, picture(id, newest, {most: 380})), el('p', {class: 'note'}, `${sheets.length} over time; `, link(`/runs/${id}/samples`, {}, 'seen over time'))] : el('p', {class: 'note'}, r.state === 'running' ? 'drawn at the end of an epoch' : 'none were drawn'))
    const made = (r.media ?? []).find((m) => m.name.startsWith('reconstruction') && m.kind === 'png')
    put(parts.more, made ? [el('h2', {}, 'Reconstruction', el('span', {class: 'note'}, 'originals over what was decoded')), picture(id, made, {most: 380})] : null)
  }

  async function drawChecks() {
    const found = await get(`/api/runs/${id}/checks`).catch((error) => ({findings: [], why: error.message}))
    if (closed) return
    const glyphs = {ok: ['✓', 'good'], warn: ['△', 'warn'], alarm: ['×', 'bad']}
    const rows = found.findings.map((c) => el('li', {}, el('span', {class: glyphs[c.level]?.[1], title: c.level}, glyphs[c.level]?.[0] ?? '·'), el('div', {}, el('b', {}, c.head), el('span', {class: 'soft'}, ` ${c.why}`), c.level !== 'ok' && c.try ? el('p', {class: 'note'}, `try: ${c.try}`) : null)))
    const fine = found.findings.filter((c) => c.level === 'ok').length, bad = rows.slice(0, rows.length - fine)
    put(parts.checks, el('h2', {}, 'Checks'), rows.length ? el('ul', {class: 'checks'}, bad, fine && bad.length ? el('li', {}, el('span', {class: 'good'}, '✓'), el('details', {}, el('summary', {}, `${fine} in order`), el('ul', {class: 'checks'}, rows.slice(-fine)))) : rows.slice(bad.length)) : el('p', {class: 'note'}, found.why))
  }

  async function drawLog() {
    const {log, said} = await get(`/api/runs/${id}/log?lines=4`).catch(() => ({log: [], said: []}))
    if (closed) return
    const rows = (said.length ? said : log).slice(-4)
    put(parts.log, el('h2', {}, 'Log', el('span', {class: 'note'}, link(`/runs/${id}/log`, {}, 'whole log'))), rows.length ? el('div', {class: 'mono-lines'}, rows.map((t) => el('div', {}, named(t, 120)))) : el('p', {class: 'note'}, 'nothing was said'))
  }

  await load()
  drawPictures()
  drawChecks()
  drawLog()
  get('/api/runs').then(({runs}) => {
    const r = run()
    others = runs.filter((o) => o.id !== id && o.fingerprint && o.fingerprint === r.fingerprint && o.curve_name === r.curve_name && o.curve.length > 1)
    drawControls()
    if (view.behind) loadBehind()
  }, () => {})
  const checks = setInterval(() => { if (run().state === 'running' && !document.hidden) { drawChecks(); drawLog() } }, CHECK_MS)
  let next = 0
  const soon = () => {
    if (next || closed) return
    next = setTimeout(() => { next = 0; load() }, Math.max(0, AGAIN_MS - (Date.now() - last)))
  }
  return {
    offset: data?.offset ?? 0,
    rows: () => { soon(); if (Date.now() - last > 3000) drawLog() },
    anew: load,
    changed: () => { drawPictures(); drawChecks(); drawLog(); soon() },
    keys: {l: () => { view.log = !view.log; remember({y: view.log ? 'log' : ''}); draw() }, 0: () => main.onzoom(null)},
    close: () => {
      closed = true
      clearInterval(checks)
      clearTimeout(next)
      main.close()
      for (const c of small.values()) c.close()
    },
  }
}
