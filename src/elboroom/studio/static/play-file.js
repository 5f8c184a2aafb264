// A run put to use: a file is filled in, named, forecast, rebuilt or encoded, or new examples are drawn, and the answer
// is saved. It is the verb of the command line, run to its end; leaving the page ends it.

import {el, put, named, button, say} from './dom.js'
import {post} from './api.js'
import {written, took, count} from './numbers.js'
import {take, pickers, send} from './drop.js'

const FORMS = {'.csv': 'CSV, for spreadsheets', '.tsv': 'TSV', '.parquet': 'Parquet', '.npz': 'npz, for numpy', '.png': 'PNG, a sheet of pictures'}

export async function open(body, {id, query, run, about, remember}) {
  const uses = about.uses, view = {use: uses.find((u) => u.verb === query.get('use')) ?? uses[0], data: null, ending: '', count: 0}
  let working = null, closed = false, ticking = 0
  const bar = el('div', {class: 'controls'}), source = el('div', {class: 'zone'}), told = el('div', {role: 'status'}), out = el('div', {class: 'part'})
  const picks = pickers(() => bring()), [[field]] = picks
  field.id = 'used-file'
  put(body, bar, source, told, out)

  const bad = (message) => put(told, el('p', {class: 'said-bad', role: 'alert'}, `× ${message}`))
  const own = () => ({data: {run: id}, name: run().data || 'the run’s own data'})

  function draw() {
    const {use} = view
    view.ending = use.endings.includes(view.ending) ? view.ending : use.endings[0]
    view.count ||= use.usual
    put(bar, el('div', {class: 'seg', role: 'group', 'aria-label': 'what is done'}, uses.map((u) => button(u.name, () => { Object.assign(view, {use: u, count: 0}); remember({use: u.verb}); put(out); put(told); draw() }, {'aria-pressed': String(u === use), id: `use-${u.verb}`}))),
      use.count ? el('label', {}, use.count, el('input', {type: 'number', id: 'count', min: 1, max: 1000000, value: view.count, onchange: (e) => { view.count = Math.max(1, Math.round(Number(e.target.value)) || use.usual) }})) : null,
      el('label', {}, 'written as', el('select', {id: 'ending', onchange: (e) => { view.ending = e.target.value }}, use.endings.map((e) => el('option', {value: e, selected: e === view.ending}, FORMS[e])))),
      button(use.name, start, {class: 'main', id: 'apply', disabled: Boolean(working) || (use.reads && !view.data)}))
    const what = el('p', {class: 'note'}, `${use.name}: ${use.what}.`)
    if (!use.reads) return put(source, what)
    put(source, what, el('span', {}, view.data ? ['Read here: ', named(view.name)] : 'Drop a file or a folder anywhere on this page, of the same kind as the run learnt from.'), picks, view.data?.run ? null : button('The run’s own data', () => { const {data, name} = own(); Object.assign(view, {data, name}); draw() }, {id: 'own-data'}))
  }

  async function bring() {
    const what = take()
    if (!what) return
    working?.abort()
    const mine = working = new AbortController()
    try {
      const sent = await send(what, (done, all) => put(told, el('p', {class: 'note'}, `sending ${written(done / (all || 1), null, null, {form: 'share', decimals: 0})}`)), mine.signal)
      if (closed) return
      Object.assign(view, {data: {upload: sent.id}, name: sent.name})
      put(told)
      put(out)
    } catch (error) { if (error.name !== 'AbortError') bad(error.message) }
    if (working === mine) working = null
    draw()
  }

  async function start() {
    const mine = working = new AbortController(), began = performance.now(), doing = el('span', {})
    const tick = () => { doing.textContent = `${view.use.name} is under way, ${took((performance.now() - began) / 1000)} gone ` }
    put(out)
    put(told, el('p', {class: 'note'}, doing, button('Stop', () => mine.abort(), {class: 'link', id: 'stop-applying'})))
    tick()
    ticking = setInterval(tick, 500)
    draw()
    try {
      const {use, data, ending} = view
      const made = await post(`/api/runs/${id}/apply`, {verb: use.verb, ending, ...use.reads ? {data} : {}, ...use.count ? {count: view.count} : {}}, mine.signal)
      if (closed) return
      put(told)
      show(made)
    } catch (error) {
      if (closed) return
      error.name === 'AbortError' ? put(told, el('p', {class: 'note'}, 'Stopped; nothing was written.')) : bad(error.message)
    } finally {
      clearInterval(ticking)
      if (working === mine) working = null
      if (!closed) draw()
    }
  }

  function show({key, name, bytes, rows, filled, shown, command, took_s}) {
    const place = `/api/made/${key}`, size = written(bytes, null, null, {form: 'size'}), many = Number.isFinite(rows) ? `${count(rows, 'row')}, ` : ''
    put(out, el('h2', {}, named(name), el('span', {class: 'note'}, ` ${many}${Number.isFinite(filled) ? `${count(filled, 'cell')} filled in, ` : ''}${size}, made in ${took(took_s)}`)),
      el('p', {}, el('a', {href: place, download: name, class: 'button main', id: 'save-made'}, 'Save the file')),
      name.endsWith('.png') ? el('img', {src: place, alt: name, class: 'made'}) : null, shown ? table(shown) : null,
      el('h2', {}, 'The same without the studio'), el('div', {class: 'command'}, el('code', {translate: 'no'}, command), button('copy', () => navigator.clipboard?.writeText(command), {class: 'link'})))
    say(`${name} is there`)
  }

  // The first rows; what was filled in is marked, with its standard deviation.
  function table({head, rows, filled, doubt}) {
    const any = filled.some((marks) => marks.length), numbered = head[0] !== 'index', short = (text) => text.trim() !== '' && Number.isFinite(Number(text)) ? written(Number(Number(text).toPrecision(4))) : text
    return el('figure', {class: 'chart'}, el('div', {class: 'scroll'}, el('table', {class: 'made'}, el('thead', {}, el('tr', {}, numbered ? el('th', {scope: 'col', class: 'num'}, 'row') : null, head.map((h) => el('th', {scope: 'col'}, named(h, 24))))),
      el('tbody', {}, rows.map(([number, cells], r) => el('tr', {}, numbered ? el('td', {class: 'num note'}, number.toLocaleString('en')) : null, cells.map((cell, k) => {
        const at = filled[r].indexOf(k), value = Number(cell), off = Number(doubt[r][at])
        if (at < 0) return el('td', {}, named(short(cell), 24))
        return el('td', {class: 'filled'}, cell.trim() !== '' && Number.isFinite(value) ? written(value, value - off, value + off) : [named(cell, 24), el('span', {class: 'note'}, ` ${written(off, null, null, {form: 'share', decimals: 0})}`)])
      })))))), el('figcaption', {class: 'note'}, any ? 'The first rows with a missing cell, counted from 0; marked: what was filled in, with its standard deviation, or the chance that another name is right.' : 'The first rows, counted from 0; the file has all.'))
  }

  draw()
  return {
    dropped: bring,
    close: () => {
      closed = true
      clearInterval(ticking)
      working?.abort()
    },
  }
}
