// Data: named sets and what was dropped here, what each is read as, and the runs made from it.

import {el, put, link, named, button} from './dom.js'
import {get, post} from './api.js'
import {written, count} from './numbers.js'
import {go, remember} from './app.js'
import {reading} from './reading.js'
import {pickers} from './drop.js'

const SHOWN = 6

export async function open(main, {query}) {
  const sets = el('ul', {class: 'list-of'}, el('li', {class: 'note'}, 'reading the catalogue')), own = el('ul', {class: 'list-of'})
  put(main, el('div', {class: 'head'}, el('h1', {}, 'Data'), el('div', {class: 'end'}, pickers(() => go('/new')))), el('section', {class: 'part'}, el('h2', {}, 'Dropped here'), own), el('section', {class: 'part'}, el('h2', {}, 'Named sets'), sets))
  const [{runs}, uploads] = await Promise.all([get('/api/runs'), get('/api/uploads')])
  const stem = (name) => name.split('.')[0]
  let closed = false

  // Runs whose data have that fingerprint; before it is known, that name.
  function made(names, fingerprint) {
    const from = runs.filter((r) => fingerprint ? r.fingerprint === fingerprint : names.includes(r.data))
    if (!from.length) return null
    return el('p', {class: 'note'}, `${count(from.length, 'run')}${fingerprint ? ' made from these very data' : ''}: `, from.slice(0, SHOWN).map((r, i) => [i ? ', ' : '', link(`/runs/${r.id}`, {}, named(r.name))]),
      from.length > SHOWN ? [', ', link(`/?q=${encodeURIComponent(`data:${from[0].data}`)}`, {}, 'all of them')] : null)
  }

  function entry(key, source, names, title, said, start) {
    const out = el('div'), from = el('div')
    const read = async () => {
      remember({read: key})
      put(out, el('p', {class: 'note', role: 'status'}, 'reading'))
      try {
        const found = await post('/api/readings', {data: source})
        put(from, made(names, found.fingerprint))
        put(out, reading(found))
      } catch (error) { put(out, el('p', {class: 'said-bad', role: 'alert'}, error.message)) }
    }
    put(from, made(names))
    if (query.get('read') === key && !closed) read()
    return el('li', {style: {minWidth: 0}}, el('div', {class: 'head', style: {marginBottom: 0}}, el('b', {}, title), el('span', {class: 'soft'}, said), el('div', {class: 'end'}, button('Read it', read), link(start, {class: 'button'}, 'New run'))), from, out)
  }

  put(own, uploads.length ? uploads.map((u) => entry(u.id, {upload: u.id}, [u.name, stem(u.name)], named(u.name), `${count(u.files, 'file')}, ${written(u.bytes, null, null, {form: 'size'})}`, `/new?upload=${u.id}`))
    : el('li', {class: 'soft'}, 'Nothing yet. Drop a file or folder anywhere on this page, or choose one above.'))
  get('/api/sets').then((list) => put(sets, list.map((s) => entry(s.name, {set: s.name}, [s.name], s.name, `${s.kind} ${s.shape}. ${s.summary}`, `/new?set=${encodeURIComponent(s.name)}`))),
    (error) => put(sets, el('li', {class: 'said-bad'}, error.message)))
  return {title: 'Data', stream: {list: false, run: '', offset: 0}, close: () => { closed = true }}
}
