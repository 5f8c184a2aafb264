// Play: the pages that use a finished run. Its process is loaded at the first ask; of positions that follow each other
// fast one is on its way at a time, and a newer one takes the place of the one that waits.

import {el, put, link} from './dom.js'
import {get, post, Failure} from './api.js'
import {took} from './numbers.js'
import {remember} from './app.js'

const NAMES = {manifold: 'Manifold', map: 'Code map', draw: 'Draw', interpolate: 'Interpolate', samples: 'Sample', prompt: 'Prompt', series: 'Series and events', file: 'Use on a file', gates: 'Gates of a cell'}
const TAB = crypto.randomUUID() // so that two tabs do not drop each other's asks

export async function play(body, {id, query, run}) {
  const about = await get(`/api/runs/${id}/play`), what = about.kinds.includes(query.get('what')) ? query.get('what') : about.kinds[0]
  const end = new AbortController(), told = el('span', {class: 'note end', role: 'status'}), inner = el('div', {class: 'play'})
  const others = Object.entries(about.why).filter(([kind]) => NAMES[kind])
  put(body, el('div', {class: 'head'}, about.kinds.length ? el('nav', {class: 'seg kinds', 'aria-label': 'ways to play'}, about.kinds.map((kind) => link(`/runs/${id}/play?what=${kind}`, {'aria-current': kind === what ? 'page' : null}, NAMES[kind]))) : null, told), inner,
    others.length && what ? el('details', {class: 'others'}, el('summary', {}, 'What this run has not, and why'), el('dl', {}, others.map(([kind, why]) => [el('dt', {}, NAMES[kind]), el('dd', {}, why)]))) : null)
  if (!what) {
    put(inner, el('p', {class: 'soft'}, `There is nothing to play with here: ${[...new Set(Object.values(about.why))].join('; ')}.`))
    return {}
  }

  // ---- asking ----
  const lanes = {}, at = (name) => `/api/runs/${id}/play/${name}`
  let first = about.worker !== 'ready' && what !== 'file' // whose work is a process of its own
  const busy = about.training ? 'a training runs on this machine: answers may be slower' : ''
  told.textContent = first ? 'loading the weights' : busy
  async function sent(work) {
    try { return await work() } finally {
      if (first) {
        first = false
        get(`/api/runs/${id}/play`).then(({ready}) => { told.textContent = [ready.seconds ? `weights loaded in ${took(ready.seconds)}` : '', busy].filter(Boolean).join('; ') }, () => {})
      }
    }
  }

  // The answer of MODULE/VERB. With `latest` only the newest of a kind waits; those it replaces answer {dropped: true}.
  function ask(name, given = {}, {latest = '', signal = end.signal} = {}) {
    if (!latest) return sent(() => post(at(name), given, signal))
    const lane = lanes[latest] ??= {waits: null, goes: false}
    return new Promise((done, failed) => {
      lane.waits?.done({dropped: true})
      lane.waits = {name, given, signal, done, failed}
      next(lane, latest)
    })
  }
  async function next(lane, latest) {
    if (lane.goes || !lane.waits) return
    const {name, given, signal, done, failed} = lane.waits
    lane.waits = null
    lane.goes = true
    try { done(await sent(() => post(`${at(name)}?latest=${encodeURIComponent(`${TAB}-${latest}`)}`, given, signal))) } catch (error) { failed(error) }
    lane.goes = false
    next(lane, latest)
  }

  // Parts of MODULE/VERB as they come; `signal` ends it at its next part.
  function stream(name, given, onpart, signal) {
    const both = new AbortController(), stop = () => both.abort(), signals = [signal, end.signal].filter(Boolean), decoder = new TextDecoder()
    for (const one of signals) one.aborted ? stop() : one.addEventListener('abort', stop)
    return sent(async () => {
      let answer, held = ''
      const fault = (error, text) => error.name === 'AbortError' ? error : new Failure(0, text)
      try {
        answer = await fetch(at(name), {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(given), signal: both.signal})
      } catch (error) { throw fault(error, 'the studio does not answer; is it still running in its window?') }
      if (!answer.ok) throw new Failure(answer.status, (await answer.json().catch(() => null))?.error?.message ?? `the studio answered ${answer.status}`)
      for (const reader = answer.body.getReader(); ;) {
        let piece
        try { piece = await reader.read() } catch (error) { throw fault(error, 'the answer broke off; is the studio still running in its window?') }
        if (piece.done) return
        const lines = (held + decoder.decode(piece.value, {stream: true})).split('\n')
        held = lines.pop()
        for (const text of lines) {
          const line = JSON.parse(text)
          if (line.error) throw new Failure(500, line.error.message)
          if (line.part) onpart(line.part)
        }
      }
    }).finally(() => { for (const one of signals) one.removeEventListener('abort', stop) })
  }

  let page = null
  try {
    const made = await import(`./play-${what}.js`)
    page = await made.open(inner, {id, query, run, about, ask, stream, remember})
  } catch (error) {
    if (error.name !== 'AbortError') put(inner, el('p', {class: 'said-bad', role: 'alert'}, `× ${error.message}`))
  }
  return {
    get keys() { return page?.keys },
    get dropped() { return page?.dropped },
    changed: () => page?.changed?.(),
    close: () => {
      end.abort()
      page?.close?.()
    },
  }
}
