// The other tabs of a run: samples, settings, files, log, report.

import {el, put, held, link, named, button} from './dom.js'
import {get, post} from './api.js'
import {written} from './numbers.js'
import {remember, go} from './app.js'

const FACTORS = [1, 2, 4, 8], COLUMNS = 8, HELD_MS = 250

// What a sheet says of itself: its caption, and how many of its pixels a pixel of the data is wide.
const captions = new Map()
function caption(id, m) {
  const key = `${m.id}-${m.stamp}`
  if (!captions.has(key)) captions.set(key, get(`/api/runs/${id}/media/${m.id}/said`).then((found) => ({...found, each: Number(found.said.match(/each pixel (\d+)x/i)?.[1] ?? 1)}), () => ({said: '', each: 1})))
  return captions.get(key)
}

// One sheet at a whole multiple of its pixels; below 1x it is shown at 1x and scrolls. `factor` counts pixels of the data:
// where no gap stands between the pictures a sheet that was enlarged when it was written is shown smaller, to the pixel.
export function picture(id, m, {factor = 0, most = 760, each = 1, told = () => {}, broken = null, onclick = null} = {}) {
  const source = `/api/runs/${id}/media/${m.id}?v=${m.stamp}`, bad = (text) => el('div', {class: 'said-bad'}, `× This ${m.kind === 'png' ? 'picture' : 'text'} cannot be shown: ${text} The run's other files are not touched.`, broken?.())
  if (m.kind !== 'png') {
    const box = el('pre', {class: 'log', translate: 'no'}, 'reading')
    fetch(source).then(async (r) => r.ok ? box.replaceChildren(await r.text()) : box.replaceWith(bad(`media/${m.name} is not there any more.`)), () => box.replaceWith(bad('the studio does not answer.')))
    return box
  }
  const img = el('img', {class: 'sheet', src: source, alt: `${m.name.replace('.png', '')}, as drawn by the run`, onclick: onclick && ((e) => onclick(e, img))})
  img.onload = () => {
    const plain = img.naturalWidth % (COLUMNS * each) === 0, least = plain ? 1 : each
    const times = factor ? Math.max(1, Math.floor(factor / least)) * least : Math.max(1, Math.min(8, Math.floor(most / img.naturalWidth))) * each
    img.style.width = `${img.naturalWidth / each * times}px`
    img.style.maxWidth = 'none'
    told(times, least)
  }
  img.onerror = () => img.replaceWith(bad(`media/${m.name} is damaged.`))
  return el('div', {class: 'scroll'}, img)
}

export async function samples(body, {id, query, run}) {
  const view = {}, taken = (q) => Object.assign(view, {factor: Number(q.get('factor') ?? 0) || 0, at: q.get('at'), beside: q.get('beside')})
  let stepped = 0
  const sheet = el('div', {class: 'sheets'}), row = el('div', {class: 'epochs', role: 'group', 'aria-label': 'over time'}), rest = el('div'), close = el('div')
  const scale = el('div', {class: 'seg', role: 'group', 'aria-label': 'size, in pixels of the screen for one of the data'})
  put(body, el('div', {class: 'head'}, el('h2', {}, 'Samples over time'), el('span', {class: 'note'}, '← → step, held: 4 a second; shift and click: two side by side; click a picture: 12×'), el('div', {class: 'end'}, scale)), sheet, close, row, rest)
  taken(query)
  const sheets = () => run().media.filter((m) => m.group === 'samples')
  const place = (at, none) => {
    const i = sheets().findIndex((m) => String(m.at) === at)
    return i < 0 ? none : i
  }
  const index = () => place(view.at, sheets().length - 1)

  const again = () => run().state === 'running' ? null : el('p', {class: 'acts'}, link(`/runs/${id}/play?what=samples`, {class: 'button'}, 'Draw it again from the weights'))
  function one(m) {
    const words = el('figcaption', {class: 'note'}), figure = el('figure', {}, el('p', {class: 'note'}, 'reading'))
    caption(id, m).then(({said, each}) => put(figure, picture(id, m, {factor: view.factor, each, broken: again, onclick: (e, img) => enlarge(e, img, m, each), told: (times, least) => {
      words.textContent = said ? said.replace(/each pixel \d+x/i, `each pixel ${times}×`) : `${m.unit} ${m.at}; ${times}× its pixels; the same draws each time, none chosen`
      drawScale(times, least)
    }}), words))
    return figure
  }
  function drawScale(times, least) {
    held(scale, [times, least], () => FACTORS.map((f) => f * least).map((f) => button(`${f}×`, () => { view.factor = f; remember({factor: String(f)}, {push: true}); draw() }, {'aria-pressed': String(f === times), id: `times-${f}`})))
  }

  function draw() {
    const all = sheets(), m = all[index()], beside = all[place(view.beside, -1)]
    held(sheet, [m?.id, m?.stamp, beside?.id, beside?.stamp, view.factor, run().state], () => {
      put(close)
      return m ? [one(m), beside && beside !== m ? one(beside) : null] : el('p', {class: 'soft'}, run().state === 'running' ? 'Samples are drawn at the end of an epoch.' : ['This run has drawn no samples while it trained. ', ['images', 'table'].includes(run().reading?.spec?.kind) ? link(`/runs/${id}/play?what=samples`, {}, 'Draw some') : null])
    })
    for (const near of [all[index() + 1], all[index() - 1]]) if (near?.kind === 'png') {
      new Image().src = `/api/runs/${id}/media/${near.id}?v=${near.stamp}`
      caption(id, near)
    }
    held(row, [all.map((s) => s.at ?? s.name), index(), view.beside], () => all.map((s, i) => button(`${s.at ?? s.name}`, (e) => e.shiftKey ? besides(String(s.at)) : step(i - index()), {'aria-pressed': String(i === index() || String(s.at) === view.beside), id: `at-${i}`})))
    const others = run().media.filter((s) => s.group !== 'samples')
    held(rest, others.map((s) => [s.id, s.stamp]), () => others.map((s) => el('section', {class: 'part'}, el('h2', {}, s.name.replace(/\.\w+$/, '').replace(/[-_]/g, ' ').replace(/^./, (c) => c.toUpperCase())), picture(id, s))))
  }
  function step(by, event) {
    const all = sheets(), to = all[Math.max(0, Math.min(all.length - 1, index() + by))]
    if (!to || (event?.repeat && Date.now() - stepped < HELD_MS)) return
    stepped = Date.now()
    view.at = String(to.at)
    remember({at: view.at}, {push: !event})
    draw()
  }
  function besides(at) {
    view.beside = view.beside === at ? null : at
    remember({beside: view.beside}, {push: true})
    draw()
  }

  // The picture of a sheet that was clicked, at 12x of the data's own pixels.
  function enlarge(event, img, m, each) {
    const [deep, h, w] = run().reading?.spec?.shape ?? [], box = img.getBoundingClientRect(), gap = img.naturalWidth % (COLUMNS * each) ? (img.naturalWidth - COLUMNS * w * each) / (COLUMNS - 1) : 0
    if (!deep || !(w > 0) || gap < 0) return
    const [column, line] = [[event.clientX - box.left, box.width, img.naturalWidth, w], [event.clientY - box.top, box.height, img.naturalHeight, h]].map(([at, shown, natural, size]) => Math.floor(at / shown * natural / (size * each + gap)))
    const canvas = el('canvas', {width: w, height: h, class: 'sheet', role: 'img', 'aria-label': `picture ${line * COLUMNS + column + 1} of the sheet`, style: {width: `${12 * w}px`}}), drawn = canvas.getContext('2d')
    drawn.imageSmoothingEnabled = false
    drawn.drawImage(img, column * (w * each + gap), line * (h * each + gap), w * each, h * each, 0, 0, w, h)
    const near = el('div')
    put(close, el('section', {class: 'part'}, el('h2', {}, `Picture ${line * COLUMNS + column + 1}`, el('span', {class: 'note'}, `${m.unit} ${m.at}; each pixel 12×`, ' ', button('close', () => put(close), {class: 'link'}))), el('div', {class: 'scroll'}, canvas), near))
    nearest(near, drawn.getImageData(0, 0, w, h).data, deep)
  }

  // What the run's own codes say is nearest to a picture, where it encodes and its weights are kept.
  async function nearest(node, rgba, deep) {
    if (run().state === 'running') return
    try {
      const about = await get(`/api/runs/${id}/play`)
      if (!about.kinds.includes('draw')) return
      put(node, el('p', {class: 'note', role: 'status'}, about.worker === 'ready' ? 'looking for the nearest training pictures' : 'loading the weights'))
      const bytes = rgba.filter((_, i) => deep === 1 ? i % 4 === 0 : i % 4 < 3), [found, {neighbours}] = await Promise.all([post(`/api/runs/${id}/play/codes/drawn`, {pixels: btoa(String.fromCharCode(...bytes))}), import('./play-items.js')])
      put(node, el('h2', {}, 'Nearest in code space'), neighbours(found, found.classes, (item) => go(`/runs/${id}/play?what=map&item=${item}`)))
    } catch (error) { put(node, el('p', {class: 'note'}, `Its neighbours cannot be told: ${error.message}`)) }
  }

  draw()
  return {changed: draw, told: (q) => { taken(q); draw() }, keys: {ArrowLeft: (e) => step(-1, e), ArrowRight: (e) => step(1, e)}}
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

// The report runs without the studio's rights; it says where in it the reader is, and prints itself when asked to.
export async function report(body, {id, query, run}) {
  const source = `/api/runs/${id}/report`, place = /^#[\w-]{1,80}$/
  let frame = null, at = query.get('at') ?? '', made = ''
  const heard = (event) => {
    if (event.source !== frame?.contentWindow || !place.test(event.data?.at ?? '')) return
    at = event.data.at.slice(1)
    remember({at})
  }
  function draw() {
    if (made === run().state) return
    made = run().state
    frame = el('iframe', {class: 'page', sandbox: 'allow-scripts allow-modals allow-downloads', src: source + (place.test(`#${at}`) ? `#${at}` : ''), title: 'report'})
    put(body, made === 'done' ? null : el('p', {class: 'said-warn'}, '△ The run is not at its end: this is the report so far.'),
      el('p', {class: 'acts', style: {marginBottom: '12px'}}, el('a', {href: source, target: '_blank', rel: 'noopener'}, 'Open alone'), button('Print', () => frame.contentWindow.postMessage('print', '*'), {class: 'link'}), el('a', {href: source, download: `${run().name.replaceAll('/', '-')}.html`}, 'Save'), el('span', {class: 'note'}, 'one file; it works by mail and from disk, with scripts off')),
      frame)
  }
  addEventListener('message', heard)
  draw()
  return {changed: draw, close: () => removeEventListener('message', heard)}
}
