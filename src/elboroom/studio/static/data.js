// Data: named sets and what was dropped here, what each is read as, and the runs made from it.

import {el, put, link, named, button} from './dom.js'
import {get, post} from './api.js'
import {written, count} from './numbers.js'
import {reading} from './newrun.js'

export async function open(main) {
  const sets = el('ul', {class: 'list-of'}, el('li', {class: 'note'}, 'reading the catalogue')), own = el('ul', {class: 'list-of'})
  put(main, el('div', {class: 'head'}, el('h1', {}, 'Data')), el('section', {class: 'part'}, el('h2', {}, 'Dropped here'), own), el('section', {class: 'part'}, el('h2', {}, 'Named sets'), sets))
  const [{runs}, uploads] = await Promise.all([get('/api/runs'), get('/api/uploads')])
  const made = (name) => {
    const from = runs.filter((r) => r.data === name)
    return from.length ? el('p', {class: 'note'}, `${count(from.length, 'run')}: `, from.slice(0, 6).map((r, i) => [i ? ', ' : '', link(`/runs/${r.id}`, {}, named(r.name))])) : null
  }
  const entry = (source, title, said, start) => {
    const out = el('div')
    const look = button('Read it', async () => {
      put(out, el('p', {class: 'note', role: 'status'}, 'reading'))
      try { put(out, reading(await post('/api/readings', {data: source}))) } catch (error) { put(out, el('p', {class: 'said-bad', role: 'alert'}, error.message)) }
    })
    return el('li', {}, el('div', {class: 'head', style: {marginBottom: 0}}, el('b', {}, title), el('span', {class: 'soft'}, said), el('div', {class: 'end'}, look, link(start, {class: 'button'}, 'New run'))), made(source.set ?? ''), out)
  }
  const stem = (name) => name.split('.')[0]
  put(own, uploads.length ? uploads.map((u) => {
    const item = entry({upload: u.id}, named(u.name), `${count(u.files, 'file')}, ${written(u.bytes, null, null, {form: 'size'})}`, `/new?upload=${u.id}`)
    const more = made(u.name) ?? made(stem(u.name))
    if (more) item.append(more)
    return item
  }) : el('li', {class: 'soft'}, 'Nothing yet. Drop a file or folder anywhere on this page.'))
  get('/api/sets').then((list) => put(sets, list.map((s) => entry({set: s.name}, s.name, `${s.kind} ${s.shape}. ${s.summary}`, `/new?set=${encodeURIComponent(s.name)}`))),
    (error) => put(sets, el('li', {class: 'said-bad'}, error.message)))
  return {title: 'Data', stream: {list: false, run: '', offset: 0}}
}
