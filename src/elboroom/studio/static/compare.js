// Compare: ticks choose the runs; what `elboroom compare` computes is shown as the page it writes.

import {el, put, link, named, button} from './dom.js'
import {get, post} from './api.js'
import {count} from './numbers.js'
import {state} from './words.js'
import {remember} from './app.js'

const MOST = 8

export async function open(main, {query}) {
  const chosen = (query.get('runs') ?? '').split(',').filter(Boolean).slice(0, MOST)
  const body = el('div'), choice = el('details', {class: 'part', open: chosen.length < 2}, el('summary', {}, 'Runs'))
  let shown = '', asking = null
  const act = el('div', {class: 'end'})
  put(main, el('div', {class: 'head'}, el('h1', {}, 'Compare'), el('span', {class: 'note'}, 'all measured on the same held-out data; bold only where the interval of the difference is clear of 0'), act), choice, body)
  const {runs} = await get('/api/runs'), able = runs.filter((r) => ['done', 'stopped'].includes(r.state) && !r.job)

  function draw() {
    remember({runs: chosen.join(',')})
    const first = able.find((r) => r.id === chosen[0])
    put(choice, el('summary', {}, `Runs: ${count(chosen.length, 'run')} ticked of ${able.length}, at most ${MOST}`),
      el('table', {class: 'runs'}, el('tbody', {}, able.map((r) => el('tr', {class: chosen.includes(r.id) ? 'ticked' : ''},
        el('td', {}, el('input', {type: 'checkbox', id: `c-${r.id}`, checked: chosen.includes(r.id), disabled: !chosen.includes(r.id) && chosen.length >= MOST, onchange: () => toggle(r.id)})),
        el('td', {}, el('label', {for: `c-${r.id}`}, named(r.name)), el('div', {}, r.model, ' · ', named(r.data))), el('td', {}, state(r.state)),
        el('td', {class: 'note'}, first && r.fingerprint !== first.fingerprint ? 'other data' : ''))))))
    put(act, button(asking ? 'Measuring…' : 'Compare', measure, {class: 'main', disabled: chosen.length < 2 || asking || shown === chosen.join()}))
    if (!chosen.length) put(body, el('p', {class: 'soft'}, 'Tick two runs or more.'))
  }

  function toggle(id) {
    chosen.includes(id) ? chosen.splice(chosen.indexOf(id), 1) : chosen.push(id)
    draw()
  }

  async function measure() {
    asking = new AbortController()
    draw()
    put(body, el('p', {class: 'soft', role: 'status'}, `Measuring ${count(chosen.length, 'run')} on the data they share. What was measured before is not measured again.`))
    try {
      const runs = [...chosen], answer = await post('/api/compare', {runs}, asking.signal)
      shown = runs.join()
      put(body, el('iframe', {class: 'page', sandbox: 'allow-scripts allow-modals allow-downloads', src: `/api/compare/${answer.id}`, title: 'comparison'}),
        el('div', {class: 'command'}, el('code', {}, answer.command)), el('p', {class: 'acts'}, runs.map((id) => link(`/runs/${id}`, {}, named(able.find((r) => r.id === id)?.name ?? id)))))
      choice.open = false
    } catch (error) {
      if (error.name !== 'AbortError') put(body, el('p', {class: 'said-bad', role: 'alert'}, error.message))
    }
    asking = null
    draw()
  }

  draw()
  if (chosen.length > 1) measure()
  return {title: 'Compare', stream: {list: false, run: '', offset: 0}, close: () => asking?.abort()}
}
