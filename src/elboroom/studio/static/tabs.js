// The other tabs of a run: samples, settings, files, log, report.

import {el, put, named, button} from './dom.js'
import {get} from './api.js'
import {written} from './numbers.js'
import {remember} from './app.js'

const FACTORS = [1, 2, 4, 8]

// One sheet at a whole multiple of its pixels; below 1x it is shown at 1x and scrolls.
export function picture(id, m, {factor = 0, most = 760, told = () => {}} = {}) {
  if (m.kind !== 'png') {
    const box = el('pre', {class: 'log', translate: 'no'}, 'reading')
    fetch(`/api/runs/${id}/media/${m.id}?v=${m.stamp}`).then((r) => r.text()).then((text) => { box.textContent = text })
    return box
  }
  const img = el('img', {class: 'sheet', src: `/api/runs/${id}/media/${m.id}?v=${m.stamp}`, alt: `${m.name.replace('.png', '')}, as drawn by the run`})
  img.onload = () => {
    const times = factor || Math.max(1, Math.min(8, Math.floor(most / img.naturalWidth)))
    img.style.width = `${img.naturalWidth * times}px`
    img.style.maxWidth = 'none'
    told(times)
  }
  img.onerror = () => img.replaceWith(el('p', {class: 'said-bad'}, `× This picture cannot be shown: media/${m.name} is damaged. The run's other files are not touched.`))
  return el('div', {class: 'scroll'}, img)
}

export async function samples(body, {id, query, run}) {
  let factor = Number(query.get('factor') ?? 0), at = query.get('at'), held = 0
  const sheet = el('div'), row = el('div', {class: 'epochs', role: 'group', 'aria-label': 'over time'}), caption = el('p', {class: 'note'}), rest = el('div')
  const scale = el('div', {class: 'seg', role: 'group', 'aria-label': 'size'})
  put(body, el('div', {class: 'head'}, el('h2', {}, 'Samples over time'), el('span', {class: 'note'}, '← → step'), el('div', {class: 'end'}, scale)), sheet, row, caption, rest)
  const sheets = () => run().media.filter((m) => m.group === 'samples')
  const index = () => {
    const i = sheets().findIndex((m) => String(m.at) === at)
    return i < 0 ? sheets().length - 1 : i
  }

  function draw() {
    const all = sheets(), m = all[index()]
    if (!m) put(sheet, el('p', {class: 'soft'}, run().state === 'running' ? 'Samples are drawn at the end of an epoch.' : 'This run has drawn no samples.'))
    else put(sheet, picture(id, m, {factor, told: (times) => { caption.textContent = `${m.unit} ${m.at}; ${times}× its pixels; the same draws each time, none chosen` }}))
    for (const near of [all[index() + 1], all[index() - 1]]) if (near?.kind === 'png') new Image().src = `/api/runs/${id}/media/${near.id}?v=${near.stamp}`
    put(row, all.map((one, i) => button(`${one.at ?? one.name}`, () => step(i - index()), {'aria-pressed': String(i === index()), id: `at-${i}`})))
    put(scale, FACTORS.map((f) => button(`${f}×`, () => { factor = f; remember({factor: String(f)}); draw() }, {'aria-pressed': String(f === factor), id: `times-${f}`})))
    const others = run().media.filter((one) => one.group !== 'samples')
    if (others.length !== held) {
      held = others.length
      put(rest, others.map((one) => el('section', {class: 'part'}, el('h2', {}, one.name.replace(/\.\w+$/, '').replace(/[-_]/g, ' ').replace(/^./, (c) => c.toUpperCase())), picture(id, one))))
    }
  }
  function step(by) {
    const all = sheets(), to = all[Math.max(0, Math.min(all.length - 1, index() + by))]
    if (!to) return
    at = String(to.at)
    remember({at})
    draw()
  }
  draw()
  return {changed: draw, keys: {ArrowLeft: () => step(-1), ArrowRight: () => step(1)}}
}

const shown = (v) => Array.isArray(v) ? v.join(', ') || 'none' : v === true ? 'on' : v === false ? 'off' : v === null || v === '' ? 'none' : String(v)
const pairs = (title, entries) => entries.length ? el('section', {class: 'part'}, el('h2', {}, title), el('table', {}, el('tbody', {}, entries.map(([a, b]) => el('tr', {}, el('td', {class: 'soft'}, String(a).replaceAll('_', ' ')), el('td', {}, named(shown(b), 300))))))) : null

export async function settings(body, {run, act}) {
  function draw() {
    const r = run(), sorted = [...r.settings].sort((a, b) => Number(b.differs) - Number(a.differs)), data = r.reading ?? {}
    put(body, el('section', {class: 'part'}, el('h2', {}, 'Settings', el('span', {class: 'note'}, 'what differs from the defaults first')), el('table', {}, el('thead', {}, el('tr', {}, ['Setting', 'Here', 'Default', 'Meaning'].map((t) => el('th', {scope: 'col'}, t)))),
      el('tbody', {}, sorted.map((s) => el('tr', {class: s.differs ? 'ticked' : ''}, el('td', {class: 'code'}, s.name), el('td', {class: 'code'}, s.differs ? el('b', {}, shown(s.value)) : shown(s.value)), el('td', {class: 'code note'}, s.known ? shown(s.default) : 'not known'), el('td', {}, s.doc)))))),
    pairs('Data', Object.entries({name: data.name, fingerprint: data.fingerprint, split: data.split?.how, shape: data.spec?.shape?.join(' × '), scale: data.spec?.scale, problems: (data.problems ?? []).join('; ')})), pairs('Budget', Object.entries(r.budget)), pairs('Run with', Object.entries(r.runtime)), pairs('Why these', Object.entries(r.choices)),
    pairs('Versions', Object.entries(r.versions)), r.command ? [el('h2', {}, 'As a command'), el('div', {class: 'command'}, el('code', {}, named(r.command, 4000)), button('copy', () => navigator.clipboard?.writeText(r.command), {class: 'link'}))] : null, el('p', {class: 'acts'}, button('Clone with changes', act.clone)))
  }
  draw()
  return {changed: draw}
}

export async function files(body, {id}) {
  const draw = async () => {
    const list = await get(`/api/runs/${id}/files`), all = list.reduce((sum, f) => sum + f.bytes, 0)
    put(body, el('table', {}, el('caption', {}, `${list.length} files, ${written(all, null, null, {form: 'size'})}`), el('thead', {}, el('tr', {}, el('th', {scope: 'col'}, 'File'), el('th', {scope: 'col', class: 'num'}, 'Size'))),
      el('tbody', {}, list.map((f) => el('tr', {}, el('td', {class: 'code'}, named(f.name, 120)), el('td', {class: 'num'}, written(f.bytes, null, null, {form: 'size'})))))))
  }
  await draw()
  return {changed: draw}
}

export async function log(body, {id}) {
  const draw = async () => {
    const {log, said} = await get(`/api/runs/${id}/log?lines=1000`)
    const part = (title, rows, none) => el('section', {class: 'part'}, el('h2', {}, title), rows.length ? el('pre', {class: 'log', translate: 'no', tabindex: 0}, rows.join('\n')) : el('p', {class: 'note'}, none))
    put(body, part('log.txt', log, 'Nothing was noted.'), part('What its process said', said, 'It was not started by this studio.'))
  }
  await draw()
  return {changed: draw, rows: draw}
}

export async function report(body, {id, run}) {
  const live = run().state !== 'done', source = `/api/runs/${id}/report`
  put(body, live ? el('p', {class: 'said-warn'}, '△ The run is not at its end: this is the report so far.') : null,
    el('p', {class: 'acts', style: {marginBottom: '12px'}}, el('a', {href: source, target: '_blank', rel: 'noopener'}, 'Open alone'), el('a', {href: source, download: `${run().name.replaceAll('/', '-')}.html`}, 'Save'), el('span', {class: 'note'}, 'one file; it works by mail and from disk, with scripts off')),
    el('iframe', {class: 'page', sandbox: 'allow-scripts allow-modals allow-downloads', src: source, title: 'report'}))
  return {}
}
