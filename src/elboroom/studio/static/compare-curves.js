// The curves of compared runs on one x: a term that all of them log, of their held-out parts, in the colours of their slots.

import {el, put} from './dom.js'
import {get} from './api.js'
import {Chart} from './chart.js'
import {term, isMore} from './words.js'
import {remember} from './app.js'

const PREFERRED = ['bits_per_dim', 'bits_per_byte', 'loss_nats_per_token', 'elbo_nats', 'reconstruction_bce', 'reconstruction_mse', 'loss_nats']
const PARTS = [['valid', 'validation'], ['test', 'test'], ['train', 'train']]
const AXES = ['step', 'epoch', 'time']
const numbers = (list) => list.map((v) => v === null ? NaN : v)

export function curves(node, query) {
  const view = {axis: AXES.includes(query.get('x')) ? query.get('x') : 'epoch', log: query.get('y') === 'log', term: query.get('term') ?? '', zoom: null}
  const controls = el('div', {class: 'controls'})
  let runs = [], names = new Map(), chart = null, asking = 0, closed = false

  const part = (id, what) => PARTS.find(([p]) => names.get(id)?.includes(`${p}/${what}`))
  // Terms by how many runs log them; of equally many the one a report would show first.
  function terms() {
    const all = [...new Set([...names.values()].flat().filter((n) => n.includes('/')).map((n) => n.slice(n.indexOf('/') + 1)))], order = (t) => (PREFERRED.indexOf(t) + 1 || 99)
    const many = new Map(all.map((t) => [t, runs.filter((r) => part(r.id, t)).length]))
    return all.filter((t) => many.get(t) > 1).sort((a, b) => many.get(b) - many.get(a) || order(a) - order(b))
  }

  async function show(listed) {
    const mine = ++asking
    runs = listed
    if (runs.length < 2) return clear()
    const found = await Promise.all(runs.map((r) => names.get(r.id) ?? get(`/api/runs/${r.id}/history?width=50&name=`).then((a) => a.names, () => [])))
    if (mine !== asking || closed) return
    names = new Map(runs.map((r, i) => [r.id, found[i]]))
    if (!terms().length) return clear(el('p', {class: 'note'}, 'No two of these runs log the same term, so there are no curves to set on one x.'))
    if (!chart) {
      chart = new Chart({onzoom: (zoom) => { view.zoom = zoom; draw() }})
      put(node, el('h2', {}, 'Curves on one x'), chart.node, controls)
    }
    draw()
  }

  function clear(...more) {
    chart?.close()
    chart = null
    put(node, more)
  }

  async function draw() {
    const mine = ++asking, able = terms(), what = able.includes(view.term) ? view.term : able[0], those = runs.filter((r) => part(r.id, what))
    const answers = await Promise.all(those.map((r) => {
      const asked = new URLSearchParams({width: Math.round(chart.node.clientWidth || 700), axis: view.axis, name: `${part(r.id, what)[0]}/${what}`})
      if (view.zoom) [['low', view.zoom[0]], ['high', view.zoom[1]]].forEach(([n, v]) => asked.set(n, v))
      return get(`/api/runs/${r.id}/history?${asked}`).catch(() => ({series: {}}))
    }))
    if (mine !== asking || closed || !chart) return
    const lines = those.map((r, i) => {
      const s = Object.values(answers[i].series)[0]
      return {name: r.name.length > 28 ? `${r.name.slice(0, 27)}…` : r.name, color: r.color, text: r.slot > 0 && r.slot < 5 ? r.color : 'var(--ink)', x: numbers(s?.[view.axis] ?? []), y: numbers(s?.value ?? [])}
    })
    const parts = [...new Set(those.map((r) => part(r.id, what)[1]))].join(' or '), without = runs.length - those.length
    chart.set({title: `${term(what)}, ${parts}`, note: `${isMore(what) ? 'more' : 'less'} is better; each on its own ${parts} part, as it was logged${without ? `; ${without} of ${runs.length} runs log no such term` : ''}`, lines, log: view.log, axis: view.axis, zoom: view.zoom, waiting: 'nothing was logged'})
    const pick = (name, id, values, now, act) => el('label', {}, `${name} `, el('select', {id: `curves-${id}`, onchange: (e) => { act(e.target.value); e.target.blur(); draw() }}, values.map(([v, text]) => el('option', {value: v, selected: v === now}, text))))
    put(controls, pick('x', 'x', AXES.map((a) => [a, a]), view.axis, (v) => { view.axis = v; view.zoom = null; remember({x: v === 'epoch' ? '' : v}) }), pick('y', 'y', [['linear', 'linear'], ['log', 'log']], view.log ? 'log' : 'linear', (v) => { view.log = v === 'log'; remember({y: view.log ? 'log' : ''}) }),
      able.length > 1 ? pick('term', 'term', able.map((t) => [t, term(t)]), what, (v) => { view.term = v; remember({term: v === able[0] ? '' : v}) }) : null)
  }

  return {show, close: () => { closed = true; chart?.close() }}
}
