// Series and events: rows that a run has judged. The scores are in the page, so that events come and go as the threshold
// is moved; frames and curves come stretch by stretch, at most two points a pixel column.

import {el, put, named, button, kbd, say} from './dom.js'
import {get, post} from './api.js'
import {written, took, count} from './numbers.js'
import {take, pickers, send} from './drop.js'
import {unpacked, grown} from './play-drawn.js'
import {Panels, short} from './play-panels.js'

const SHARE = 250, ROWS = 25, PANELS = 8, TOLD_MS = 500, DAY_MS = 86400000
const rows = (n) => count(n, 'row'), percent = (v) => written(v, null, null, {form: 'share', decimals: 0})
const bad = (text) => el('p', {class: 'said-bad', role: 'alert'}, text)
const head = (...names) => el('thead', {}, el('tr', {}, names.map((n) => el('th', {scope: 'col', class: n === 'Peak score' ? 'num' : ['Lasted', 'Channels to blame'].includes(n) ? 'wide' : ''}, n))))

// The events of a score, as anomalies/events.py finds them: `merge` rows of rest, or `gap` rows without a score, end one.
export function findEvents(score, threshold, {first = 0, merge = 1, gap = 10}) {
  const events = []
  let known = -1, before = -1, stretch = 0, last = 0, held = 0, now = null
  for (let i = first; i < score.length; i++) {
    const s = score[i]
    if (Number.isNaN(s)) continue
    known++
    if (before >= 0 && i - before > gap) stretch++
    before = i
    if (!(s > threshold)) continue
    if (!now || known - last > merge || stretch !== held) events.push(now = {start: i, stop: i + 1, peak: i, score: s})
    else {
      now.stop = i + 1
      if (s > now.score) Object.assign(now, {peak: i, score: s})
    }
    ;[last, held] = [known, stretch]
  }
  return events
}

// [channel, share], the largest first: the mean over the rows of an event that have shares.
export function blame({shares}, channels, {start, stop}) {
  const sums = new Array(channels).fill(0)
  let seen = 0
  for (let i = start * channels; i < stop * channels; i += channels) {
    if (shares[i] === 255) continue
    seen++
    for (let c = 0; c < channels; c++) sums[c] += shares[i + c]
  }
  return sums.map((s, c) => [c, seen ? s / seen / SHARE : 0]).sort((a, b) => b[1] - a[1])
}

// Whether the level was another after an event, as anomalies/shifts.py says it: one that came back has not moved.
export function hasMoved({start, stop}, shifts, back) {
  const sizes = shifts.filter((f) => f.start < stop && f.row >= start).map((f) => f.sizes), largest = (all) => Math.max(...all.map(Math.abs))
  return sizes.length > 0 && largest(sizes[0].map((_, c) => sizes.reduce((sum, one) => sum + one[c], 0))) > back * largest(sizes.flat())
}

// Lines of a CSV file. Text that a spreadsheet would run as a formula gets a quote in front, as in the tables of the command line.
export function table(lines) {
  const cell = (v) => { const text = typeof v === 'string' && /^[=+\-@\t\r]/.test(v) && !Number.isFinite(Number(v)) ? `'${v}` : String(v); return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text }
  return lines.map((line) => `${line.map(cell).join(',')}\n`).join('')
}

export async function open(body, {id, query, run, ask, stream, remember}) {
  const view = {upload: query.get('upload') ?? '', whole: query.has('whole') && !query.get('upload'), name: '', alarms: Number(query.get('alarms')), which: Number(query.get('series') ?? 0), peak: query.has('event') ? Number(query.get('event')) : null, zoom: (query.get('rows') ?? '').split('-').map(Number)}
  if (view.zoom.length !== 2 || !view.zoom.every(Number.isInteger) || view.zoom[1] <= view.zoom[0]) view.zoom = null
  let found = null, at = 0, begun = 0, events = [], marks = [], working = null, closed = false, later = 0, span = null
  const source = el('div', {class: 'zone'}), told = el('div', {role: 'status'}), title = el('h2'), about = el('div'), rate = el('div', {class: 'controls'}), list = el('div', {class: 'part'}), whole = el('div', {class: 'part'}), close = el('div', {class: 'part'}), read = el('details', {class: 'part', hidden: true}), foot = el('div', {class: 'part'})
  const shown = el('div', {class: 'play-series', hidden: true}, title, about, rate, list, whole, close, foot), main = new Panels({zoom, pan, pick: (i) => pick(here()[i])})
  const one = () => found.series[view.which], threshold = () => found.thresholds[at].threshold, here = () => events.filter((e) => e.which === view.which)
  const holds = (e) => e.which === view.which && e.start <= view.peak && view.peak < e.stop, current = () => events.find(holds), place = () => here().findIndex(holds), ends = () => view.zoom ?? [0, one().rows]
  const lasted = (n) => found.step_ms ? took(n * found.step_ms / 1000) : rows(n), stamp = (s, row) => new Date(s.times[row]).toISOString(), said = (s) => (row) => s.times ? stamp(s, row).slice(0, found.digits).replace('T', ' ') : `row ${row.toLocaleString('en')}`
  put(body, source, told, shown, read)

  // ---- which data -------------------------------------------------------------------------------------------------------

  async function bring() {
    const what = take()
    if (!what) return
    working?.abort()
    working = new AbortController()
    try {
      const sent = await send(what, (done, all) => put(told, el('p', {class: 'note'}, `sending ${percent(done / (all || 1))}`)), working.signal)
      view.name = sent.name
      start({upload: sent.id})
    } catch (error) { if (error.name !== 'AbortError') put(told, bad(error.message)) }
  }

  function start({upload = '', whole = false}) {
    Object.assign(view, {upload, whole, alarms: 0, zoom: null, peak: null, which: 0})
    remember({upload, whole: whole ? '1' : '', alarms: '', rows: '', event: '', series: ''})
    load()
  }

  async function load() {
    working?.abort()
    const called = el('span', {}, view.name ? named(view.name) : 'the file that was dropped'), mine = working = new AbortController(), [[field, choose]] = pickers(bring)
    field.id = 'series-file'
    put(source, el('span', {}, view.upload ? ['Judged here: ', called] : `Judged here: the run’s own data, ${view.whole ? 'the whole file' : 'what came after the rows it learnt from'}. Drop a CSV anywhere on this page to judge that.`), field, choose,
      view.upload || view.whole ? button(view.upload ? 'The run’s own data' : 'Only rows after training', () => start({}), {id: 'own'}) : null, view.whole ? null : button(view.upload ? 'The run’s own, training rows too' : 'Judge the whole file, training rows too', () => start({whole: true}), {id: 'judge-whole'}))
    shown.hidden = read.hidden = true
    const doing = el('span', {}, 'asking the run'), began = performance.now()
    put(told, el('p', {class: 'note', style: {margin: '8px 0'}}, doing, ' ', button('Stop', () => { mine.abort(); put(told, el('p', {class: 'note'}, 'Stopped; nothing was judged.')) }, {class: 'link', id: 'stop-judging'})))
    let phase = '', since = began, heard = 0
    const onpart = (part) => {
      if (mine.signal.aborted) return
      if (part.judged) return judged(part.judged)
      if (part.differs) return put(told, differs(part.differs))
      if (part.read) {
        put(called, named(part.read.name))
        return drawRead(part.read, true)
      }
      const text = part.waits ? 'waits for another series that this run is judging' : part.doing, time = performance.now()
      if (phase === text && time - heard < TOLD_MS && part.rows < part.of) return
      if (phase !== text) [phase, since] = [text, time]
      const gone = (time - began) / 1000, pace = part.rows ? part.rows / (time - since) * 1000 : 0
      heard = time
      doing.textContent = `${text}${part.of ? `: ${part.rows.toLocaleString('en')} of ${rows(part.of)}` : ''}${pace ? `, ${rows(Number(pace.toPrecision(2)))} a second${part.rows < part.of ? `, about ${took((part.of - part.rows) / pace)} left` : ''}` : ''}${gone > 1 ? `, ${took(gone)} gone` : ''}`
    }
    try { await stream('series/judge', view.upload ? {upload: view.upload} : view.whole ? {whole: true} : {}, onpart, mine.signal) } catch (error) {
      if (error.name !== 'AbortError' && !closed && mine === working) put(told, bad(error.message))
    }
  }

  function differs({why, trained, here: given}) {
    const both = (name) => trained.includes(name) && given.includes(name), all = [...new Set([...trained, ...given])].sort((a, b) => both(a) - both(b))
    return [bad(`× ${why}`), given.length ? el('div', {class: 'scroll'}, el('table', {}, el('caption', {}, 'Nothing was judged. Columns that differ stand first.'), head('The run learnt from', 'This file has'),
      el('tbody', {}, all.slice(0, 60).map((name) => el('tr', {}, [trained, given].map((names) => el('td', {class: names.includes(name) ? '' : 'bad'}, names.includes(name) ? named(name) : 'not there'))))))) : null]
  }

  function judged(answer) {
    found = answer
    view.name = answer.own ? '' : answer.name
    for (const s of found.series) Object.assign(s, {score: unpacked(s.score), shares: unpacked(s.shares), times: s.times && unpacked(s.times)})
    found.digits = !found.step_ms || found.step_ms % 60000 ? 19 : found.series.some((s) => s.times?.some((t) => t % 86400000)) ? 16 : 10
    view.which = Math.min(view.which, found.series.length - 1)
    begun = usual()
    at = found.thresholds.findIndex((t) => Math.round(t.rows) === view.alarms)
    if (at < 0) at = begun
    put(told)
    shown.hidden = false
    put(whole, el('h2'), spanOf(), main.node, el('p', {class: 'note'}))
    drawRead(found, false)
    find()
    const best = current() ?? [...events].sort((a, b) => b.score - a.score)[0]
    if (best) Object.assign(view, {peak: best.peak, which: best.which})
    drawRate()
    drawEvents()
    loadWhole()
    loadClose()
    say(`${count(events.length, 'event')} in ${found.name}`)
  }

  // Where the usual rate shows nothing, the strictest that shows an event.
  function usual() {
    for (at = found.usual; at >= 0; at--) {
      find()
      if (events.length) return at
    }
    return found.usual
  }

  function drawRead(data, before) {
    const odd = data.reading.filter((c) => c.strange).length, range = ([a, b]) => `${short(a, 4)} to ${short(b, 4)}`
    put(read, el('summary', {}, `Read: ${rows(data.rows)}, ${count(data.channels.length, 'channel')}, one every ${data.step_words}`, odd ? el('span', {class: 'warn'}, ` △ ${count(odd, 'channel')} mostly outside what was learnt`) : null), data.problems.slice(0, 8).map((p) => el('p', {class: 'note'}, named(p, 400))),
      el('div', {class: 'scroll'}, el('table', {}, head('Channel', 'Learnt from', 'Here', 'Outside that', 'Missing'), el('tbody', {}, data.reading.slice(0, 60).map((c) => el('tr', {}, el('td', {}, named(c.name, 40)), el('td', {}, range(c.trained)), el('td', {}, range(c.here)),
        el('td', {class: c.strange ? 'warn' : ''}, `${written(c.outside, null, null, {form: 'share', decimals: 1})}${c.strange ? ': another unit?' : ''}`), el('td', {}, c.missing ? rows(c.missing) : 'none')))))))
    read.open = before || odd > 0
    read.hidden = false
  }

  // ---- threshold and events ---------------------------------------------------------------------------------------------

  function drawRate() {
    const slide = el('input', {type: 'range', min: 0, max: found.thresholds.length - 1, value: at, id: 'alarms', class: 'long', oninput: () => { at = Number(slide.value); tell(); moved() }}), out = el('b'), note = el('p', {class: 'note'}), how = el('details', {}, el('summary', {class: 'note'}, 'How it was set'), el('p', {class: 'note'}))
    const tell = () => {
      const t = found.thresholds[at]
      out.textContent = `one in ${lasted(t.rows)}`
      note.textContent = `The threshold is then ${short(t.threshold, 4)}.`
      how.lastChild.textContent = `${t.how[0].toUpperCase()}${t.how.slice(1)}.`
      slide.setAttribute('aria-valuetext', out.textContent)
    }
    put(rate, el('label', {for: 'alarms'}, 'False alarms: more'), slide, 'fewer', out, found.series.length > 1 ? el('label', {}, 'Series', el('select', {id: 'which', onchange: (e) => show(Number(e.target.value))}, found.series.map((s, i) => el('option', {value: i, selected: i === view.which}, s.name || `series ${i + 1}`)))) : null, note, how)
    tell()
  }

  function moved() {
    redrawn()
    clearTimeout(later)
    later = setTimeout(() => {
      view.alarms = at === begun ? 0 : Math.round(found.thresholds[at].rows)
      remember({alarms: view.alarms ? String(view.alarms) : ''})
      loadClose()
    }, 120)
  }

  function redrawn() {
    find()
    drawEvents()
    main.move({events: here(), place: place(), threshold: threshold()})
  }

  function find() {
    events = found.series.flatMap((s, which) => findEvents(s.score, threshold(), {first: s.first, merge: found.merge, gap: found.gap}).map((e) => ({...e, which, shift: hasMoved(e, s.shifts, found.back)})))
    events.forEach((e, i) => Object.assign(e, {number: i + 1, none: marks.some((m) => m.fingerprint === found.fingerprint && m.series === found.series[e.which].name && m.start < e.stop && m.stop > e.start)}))
  }

  // What has to be known beside the number of events.
  function drawAbout() {
    const usual = found.thresholds[found.usual], [unjudged, of] = [0, 1].map((i) => found.series.reduce((sum, s) => sum + s.unjudged[i], 0)), many = (n) => n.toLocaleString('en'), parts = found.series.flatMap((s) => ['train', 'valid'].map((part) => s.stretches[part] ?? [0, 0])), learnt = parts.reduce((sum, [a, b]) => sum + b - a, 0)
    put(about, at === begun && begun !== found.usual ? el('p', {}, `${usual.few ? 'Too few rows to tell so rare alarms apart' : `Nothing passes the usual threshold, that of one false alarm in ${lasted(usual.rows)}`}; the strongest are shown.`) : null,
      found.whole ? el('p', {class: 'said-warn'}, `△ The run learnt from ${many(learnt)} of these rows, or its threshold was set on them: such rows look more usual than new ones.`) : null,
      unjudged ? el('p', {class: 'note', id: 'unjudged'}, `${many(unjudged)} of ${many(of)} measurements were not judged: too soon after ${found.series.some((s) => s.segments.length > 1) ? 'a gap' : 'the start'}.`) : null)
  }

  function drawEvents() {
    drawAbout()
    const none = events.filter((e) => e.none).length, most = events.length > ROWS ? new Set([...events].sort((a, b) => b.score - a.score).slice(0, ROWS)) : null, C = found.channels.length
    put(title, `${count(events.length, 'event')} in `, named(found.name), none ? el('span', {class: 'note'}, ` ${none} marked as none`) : null)
    const row = (e) => {
      const s = found.series[e.which], who = blame(s, C, e).slice(0, 2).filter((b, i) => !i || b[1] >= 0.05)
      return el('tr', {'aria-selected': String(holds(e)), class: e.none ? 'none' : '', onclick: (click) => { if (!click.target.closest('button')) pick(e) }}, el('td', {}, button(e.number, () => pick(e), {class: 'number', id: `event-${e.number}`, 'aria-label': `event ${e.number}`})),
        el('td', {}, found.series.length > 1 ? [named(s.name, 20), ' '] : null, said(s)(e.start)), el('td', {class: 'wide'}, lasted(e.stop - e.start)), el('td', {class: 'num'}, short(e.score), el('div', {class: 'note'}, `${short(e.score / threshold(), 2)} × threshold`)),
        el('td', {class: 'wide'}, who.map(([c, share]) => el('div', {class: 'blamed'}, named(found.channels[c], 22), el('span', {class: 'track'}, el('i', {style: {width: percent(share).replace('\u202f', '')}})), el('span', {class: 'note'}, percent(share))))),
        el('td', {}, e.shift ? el('span', {class: 'note'}, 'the level moved ') : null, button(e.none ? 'An event after all' : 'Not an event', () => mark(e), {class: 'link', id: `mark-${e.number}`})))
    }
    drawFoot()
    put(list, events.length ? el('table', {class: 'events'}, head('', `Start${found.zone ? ` (${found.zone})` : ''}`, 'Lasted', 'Peak score', 'Channels to blame', ''), el('tbody', {}, events.filter((e) => !most || most.has(e)).map(row)), el('caption', {}, most ? `The ${ROWS} highest of ${events.length}. ` : '', C > 1 ? 'Blame is the share of an event’s score that a channel adds. ' : '', 'Marks change no model; they are kept beside the runs',
      marks.length ? [' in ', el('a', {href: `/api/runs/${id}/labels.csv`, download: 'labels.csv'}, 'labels.csv')] : '', '. ', found.series.some((s) => s.shifts.length) ? `Shifts of the level were looked for at one false alarm in ${lasted(found.thresholds[found.usual].rows)}.` : '')) : el('p', {class: 'soft'}, `No judged row has a score above ${short(threshold(), 4)}.`))
  }

  async function mark(e) {
    const s = found.series[e.which], time = (row) => s.times ? stamp(s, row).slice(0, 19) : ''
    try {
      ({marks} = await post(`/api/runs/${id}/labels`, {data: found.name, fingerprint: found.fingerprint, series: s.name, start: e.start, stop: e.stop, first: time(e.start), last: time(e.stop - 1), none: !e.none}))
      say(`event ${e.number} ${e.none ? 'counts again' : 'is marked as none'}`)
    } catch (error) { put(told, bad(error.message)) }
    redrawn()
  }

  function pick(e) {
    if (!e) return
    view.peak = e.peak
    if (e.which !== view.which) return show(e.which)
    remember({event: String(e.peak)})
    const [a, b] = ends(), half = Math.round(Math.max(b - a, 2 * (e.stop - e.start)) / 2)
    drawEvents()
    if (e.start < a || e.stop > b) zoom([e.peak - half, e.peak + half])
    else main.move({place: place()})
    loadClose()
    say(`event ${e.number}`)
  }

  function show(which) {
    Object.assign(view, {which, zoom: null})
    view.peak = (current() ?? [...here()].sort((p, q) => q.score - p.score)[0])?.peak ?? null
    remember({series: which ? String(which) : '', rows: '', event: view.peak === null ? '' : String(view.peak)})
    drawRate()
    drawEvents()
    loadWhole()
    loadClose()
  }

  const step = (by) => { const i = events.indexOf(current()); pick(events[i < 0 ? 0 : Math.max(0, Math.min(events.length - 1, i + by))]) }

  // ---- curves -----------------------------------------------------------------------------------------------------------

  function zoom(asked) {
    const all = one().rows, size = asked ? Math.max(8, asked[1] - asked[0]) : all, from = asked ? Math.max(0, Math.min(all - size, asked[0])) : 0
    view.zoom = size >= all ? null : [from, from + size]
    remember({rows: view.zoom?.join('-') ?? ''})
    loadWhole()
  }
  function pan(by) {
    const [a, b] = ends()
    zoom([a + by, b + by])
  }

  // The same by fields and buttons: a stretch from one row or time to another.
  function spanOf() {
    const fault = el('span', {class: 'said-bad', role: 'alert'}), fields = ['from', 'to'].map((name) => el('input', {id: name, size: 17, translate: 'no', oninput: (e) => { e.target.dirty = true }, onchange: (e) => { e.target.dirty = false; typed() }})), all = button('Whole', () => zoom(null), {id: 'whole'}, kbd('0'))
    const moves = [['Earlier', -1, '['], ['Later', 1, ']']].map(([text, by, key]) => button(text, () => slide(by), {}, kbd(key)))
    span = {fill(start, stop) {
      for (const [i, row] of [start, stop - 1].entries()) {
        if (fields[i].dirty) continue // it is being typed in
        fields[i].value = said(one())(row).replace('row ', '')
        fields[i].removeAttribute('aria-invalid')
      }
      for (const node of [all, ...moves]) node.disabled = !view.zoom
      put(fault)
    }}
    function typed() {
      const [a, b] = fields.map((field, i) => rowOf(field.value.trim(), i))
      fields.forEach((field, i) => [a, b][i] === null ? field.setAttribute('aria-invalid', 'true') : field.removeAttribute('aria-invalid'))
      if (a === null || b === null) put(fault, one().times ? 'a time is written as 2026-01-31 14:05' : `a row is a number from 0 to ${(one().rows - 1).toLocaleString('en')}`)
      else if (a > b) put(fault, 'no row lies between the two')
      else zoom([a, b + 1])
    }
    return el('div', {class: 'controls'}, fields.map((field, i) => el('label', {}, i ? 'to' : 'From', field)), all, moves, fault)
  }
  // The first row at or after what was typed, or the last one within it; null for what is no time and no row.
  function rowOf(text, last) {
    const {times, rows: all} = one()
    if (!times) return /^[\d,]+$/.test(text) ? Math.min(all - 1, Number(text.replaceAll(',', ''))) : null
    const [, day, minute = '', second = ''] = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?)?$/.exec(text) ?? [], at = day ? Date.parse(`${day}T${minute || '00:00'}${second || ':00'}Z`) : NaN
    if (Number.isNaN(at)) return null
    const end = at + (last ? second ? 999 : minute ? 59999 : DAY_MS - 1 : -1), after = times.findIndex((t) => t > end)
    return last ? (after < 0 ? all : after) - 1 : after < 0 ? all : after
  }
  const slide = (by) => { const [a, b] = ends(); pan(by * Math.max(1, Math.round((b - a) / 10))) }

  // ---- what can be taken along ------------------------------------------------------------------------------------------

  function drawFoot() {
    const quoted = (text) => /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`, place = run().place ?? quoted(run().name), days = found.step_ms && DAY_MS / (found.thresholds[at].rows * found.step_ms)
    const flags = at === found.usual ? '' : days ? ` --alarms-per-day ${Number(days.toPrecision(8))}` : null, text = flags === null ? '' : `elboroom detect ${quoted(found.file)} --run ${place}${flags} --out ${quoted(`${run().name}-events`)}`
    const save = (name, lines) => button(name, async () => {
      if (!await loadTables()) return
      const href = URL.createObjectURL(new Blob([table(lines())], {type: 'text/csv'}))
      el('a', {href, download: name}).click()
      setTimeout(() => URL.revokeObjectURL(href), 1000)
    }, {class: 'link'})
    put(foot, el('h2', {}, 'As files and as a command'), el('p', {}, 'Save ', save('events.csv', eventLines), ' ', save('scores.csv', scoreLines), el('span', {class: 'note'}, 'as they stand here; row: on the even grid, input_row: of the file, both counted from 0')),
      found.own && !found.whole ? el('p', {class: 'note'}, 'A command judges data that a run did not learn from; drop a file to see its command.') : text ? [el('div', {class: 'command'}, el('code', {translate: 'no'}, text), button('copy', () => navigator.clipboard?.writeText(text), {class: 'link'})), el('p', {class: 'note'}, named(found.file), ' stands for the place of your file.')] : el('p', {class: 'note'}, 'These data have no times, so a command has no flag for this rate.'))
  }
  // Of each series its values, the row of the file at each row of the grid, and times as the file gives them; asked for once.
  async function loadTables() {
    for (const [series, s] of found.series.entries()) {
      const answer = s.given === undefined ? await asked('table', {series}) : null
      if (s.given === undefined && !answer) return false
      if (answer) Object.assign(s, {values: unpacked(answer.values), input: unpacked(answer.rows), given: answer.given})
    }
    return true
  }
  // Times of the grid in whole seconds, unless the file has parts of them.
  const parts = (s) => s.parts ??= s.given?.some((text) => /:\d\d[.,]\d*[1-9]/.test(text)) ?? true
  const time = (s, row) => s.times ? parts(s) ? stamp(s, row).replace(/(\.000)?Z$/, '') : new Date(1000 * Math.round(s.times[row] / 1000)).toISOString().slice(0, 19) : row
  const input = (s, row) => s.input[row] < 0 ? '' : s.input[row], given = (s, row) => s.given?.[row] ?? ''
  const measured = (s, row) => Array.from(s.values.subarray(row * found.channels.length, (row + 1) * found.channels.length), (v) => Number.isFinite(v) ? v : '')
  function eventLines() {
    return [['event', 'start_row', 'end_row', 'start', 'end', 'peak_row', 'peak_score', 'threshold', 'channels', 'series', 'kind', 'label', 'input_row', 'peak_input_row', 'peak_time_given', ...found.channels.map((name) => `peak_value:${name}`)], ...events.map((e) => {
      const s = found.series[e.which], who = blame(s, found.channels.length, e).slice(0, 5).filter((b) => b[1] >= 0.05)
      return [e.number, e.start, e.stop - 1, time(s, e.start), time(s, e.stop - 1), e.peak, e.score, threshold(), who.map(([c, share]) => `${found.channels[c]} ${Math.round(100 * share)}%`).join(', '), s.name, e.shift ? 'shift' : 'event', e.none ? 'not an event' : '', input(s, e.start), input(s, e.peak), given(s, e.peak), ...measured(s, e.peak)]
    })]
  }
  function* scoreRows() {
    const C = found.channels.length
    for (const [which, s] of found.series.entries()) {
      const own = events.filter((e) => e.which === which)
      for (let row = 0, k = 0; row < s.rows; row++) {
        while (k < own.length && own[k].stop <= row) k++
        const e = own[k] && own[k].start <= row ? own[k] : null, known = Number.isFinite(s.score[row])
        yield [row, time(s, row), known ? s.score[row] : '', threshold(), e ? 1 : 0, e ? e.number : '', s.name, ...Array.from({length: C}, (_, c) => s.shares[row * C + c] === 255 ? '' : s.shares[row * C + c] / SHARE), input(s, row), given(s, row), ...measured(s, row)]
      }
    }
  }
  const scoreLines = () => [['row', 'time', 'score', 'threshold', 'is_event', 'event', 'series', ...found.channels.map((name) => `blame:${name}`), 'input_row', 'time_given', ...found.channels.map((name) => `value:${name}`)], ...scoreRows()]

  async function asked(name, given, latest) {
    try {
      const answer = await ask(`series/${name}`, {key: found.key, series: view.which, ...given}, {latest})
      return closed || answer?.dropped ? null : answer
    } catch (error) {
      if (/no longer held/.test(error.message)) load()
      else if (error.name !== 'AbortError') put(told, bad(error.message))
      return null
    }
  }

  async function loadWhole() {
    main.drawnAt = main.width
    const [a, b] = ends(), C = found.channels.length, sums = new Array(C).fill(0), which = view.which, mine = found
    for (const e of here()) for (const [c, share] of blame(one(), C, e)) sums[c] += share * e.score
    const drawn = sums.map((_, c) => c).sort((p, q) => sums[q] - sums[p]).slice(0, PANELS).sort((p, q) => p - q), w = await asked('window', {start: a, stop: b, width: main.width, channels: drawn}, 'series-whole')
    if (!w || which !== view.which || mine !== found) return
    for (const name of ['low', 'high', 'expected', 'below', 'above']) w[name] = unpacked(w[name])
    main.set({...w, one: one(), said: said(one()), names: drawn.map((c) => found.channels[c]), half: found.step_ms ? found.step_ms / 2000 : 0.5, warmUp: found.warm_up, events: here(), place: place(), threshold: threshold()})
    const text = `From ${said(one())(w.start)} to ${said(one())(w.stop - 1)}`
    main.box.setAttribute('aria-label', `${text}: ${count(here().filter((e) => e.stop > w.start && e.start < w.stop).length, 'event')}, threshold ${short(threshold(), 4)}`)
    put(whole.firstChild, text, view.zoom ? null : el('span', {class: 'note'}, 'drag zooms'))
    span.fill(w.start, w.stop)
    put(whole.lastChild, `Line: what was measured${w.every > 1 ? `, of each column of ${w.every} rows the lowest and the highest` : ''}; band: two standard deviations about what was expected one row before. Numbered columns: events. ${main.grey.length ? 'Grey: no rows, or too soon after a gap to be judged. ' : ''}${C > PANELS ? `The ${PANELS} channels most to blame of ${C}. ` : ''}${found.step_ms ? '' : 'The data have no times; rows are counted from 0.'}`)
  }

  async function loadClose() {
    const mine = found, e = current(), near = e && await asked('close', {start: e.start, stop: e.stop, number: e.number, threshold: threshold()}, 'series-close')
    if (!e) put(close)
    if (near && mine === found && holds(e)) put(close, el('h2', {}, `Event ${e.number}`, el('span', {class: 'note'}, kbd('j'), kbd('k'), ' the next, the one before')), el('figure', {class: 'drawn chart'}, grown(close.clientWidth < 700 ? near.narrow : near.wide)), el('p', {class: 'note'}, `${near.said} Line: what was measured; line inside the band: what was expected.`))
  }

  const size = new ResizeObserver(() => { if (found && !shown.hidden && main.drawnAt !== main.width) loadWhole() })
  marks = await get(`/api/runs/${id}/labels`).then((answer) => answer.marks, () => [])
  load()
  size.observe(whole)
  return {
    keys: {j: () => found && step(1), k: () => found && step(-1), 0: () => found && zoom(null), '[': () => found && slide(-1), ']': () => found && slide(1)},
    dropped: bring,
    close: () => {
      closed = true
      working?.abort()
      clearTimeout(later)
      size.disconnect()
    },
  }
}
