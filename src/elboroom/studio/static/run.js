// One run: what it is, how far it is, what can be done with it; then its tabs.

import {el, put, link, named, button, kbd, say} from './dom.js'
import {get, post, key} from './api.js'
import {written, took, count} from './numbers.js'
import {state, progress, remaining} from './words.js'
import {go, toast} from './app.js'
import {confirm, help} from './keys.js'
import {stale} from './stream.js'
import * as overview from './overview.js'
import * as tabs from './tabs.js'
import {play} from './play.js'

const TABS = [['', 'Overview', overview.overview], ['samples', 'Samples', tabs.samples], ['play', 'Play', play], ['settings', 'Settings', tabs.settings],
  ['files', 'Files', tabs.files], ['log', 'Log', tabs.log], ['report', 'Report', tabs.report]]

const ago = (at) => Date.now() - at < 1500 ? '1 s' : took(Math.round((Date.now() - at) / 1000))
const capital = (text) => text ? text[0].toUpperCase() + text.slice(1) : ''

export async function open(main, {parts, query}) {
  const [id, tab = ''] = parts, made = (TABS.find((t) => t[0] === tab) ?? TABS[0])[2]
  let run, stopping = 0, heard = Date.now(), shown = null, asking = 0
  try { run = await get(`/api/runs/${id}`) } catch (error) {
    put(main, el('h1', {}, 'This run is not here.'), el('p', {class: 'soft'}, error.message), link('/', {}, 'to the runs'))
    return {title: 'Run'}
  }
  const top = el('div'), body = el('div')
  put(main, top, body)
  const context = {id, query, run: () => run, act: {resume, clone}}

  function draw() {
    if (!run.budget) return drawStarting()
    const done = progress(run), time = remaining(run), live = run.state === 'running', rate = run.time_s > 1 && run.step ? run.step / run.time_s : 0
    const name = stopping && live ? 'stopping' : run.state
    put(top, el('p', {class: 'crumb'}, link('/', {}, 'Runs'), ` / ${run.model} on `, named(run.data)), el('div', {class: 'head', style: {marginBottom: 0}}, el('h1', {}, named(run.name)), state(name), el('div', {class: 'end'}, actions(live))),
      el('div', {class: `track wide ${run.state}`, role: 'progressbar', 'aria-valuenow': Math.round(100 * done.share), 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': 'progress'}, el('i', {style: {width: `${100 * done.share}%`}})),
      el('div', {class: 'facts'}, el('b', {}, done.text), run.steps ? el('span', {}, `step ${written(run.step ?? 0, null, null, {form: 'count'})} of ${written(run.steps, null, null, {form: 'count'})}`) : null,
        run.time_s ? el('span', {}, live ? 'gone ' : 'training ', el('b', {}, took(run.time_s))) : null, live && run.steps ? el('span', {}, 'left ', el('b', {}, time || (run.time_s ? 'known after 10 s' : 'not known yet'))) : null,
        rate ? el('span', {}, 'rate ', el('b', {}, rate > 1 ? `${written(Number(rate.toPrecision(3)))} steps a second` : `${took(1 / rate)} a step`)) : null,
        el('span', {class: 'end note'}, live ? [el('span', {class: 'good'}, '● '), `live, last step ${ago(heard)} ago`] : run.started ? `started ${written(run.started, null, null, {form: 'date'})}` : '')),
      message(), el('nav', {class: 'tabs', 'aria-label': 'parts of this run'}, TABS.map(([t, text]) => link(`/runs/${id}${t ? `/${t}` : ''}`, {'aria-current': t === tab ? 'page' : null}, text))))
  }

  // A start that has no run folder yet, or that ended before there was one.
  function drawStarting() {
    put(top, el('p', {class: 'crumb'}, link('/', {}, 'Runs')), el('div', {class: 'head'}, el('h1', {}, named(run.name)), state(run.state)),
      run.state === 'failed' ? el('div', {class: 'failure', role: 'alert'}, el('dl', {}, el('dt', {}, 'What'), el('dd', {}, capital(run.why)), el('dt', {}, 'What is kept'), el('dd', {}, 'Nothing had begun; your data are as they were.')),
        el('p', {class: 'acts'}, link('/new', {class: 'button main'}, 'Change and start again'), button('Take it off the list', async () => { await post(`/api/runs/${id}/forget`); go('/') })))
        : el('p', {class: 'soft', role: 'status'}, 'Starting: reading the data, building the model. The first step comes in a few seconds.'),
      el('div', {class: 'command'}, el('code', {}, run.command ?? '')), run.said?.length ? el('pre', {class: 'log'}, run.said.slice(-20).join('\n')) : null)
  }

  function actions(live) {
    if (live) return [link(`/runs/${id}/report`, {class: 'button'}, 'Report so far'), button('Clone with changes', clone),
      button(stopping ? (stopping > 1 ? 'Ending…' : 'Stopping… press again to end without saving') : 'Stop and keep state', stop, {id: 'stop', disabled: stopping > 1}, kbd('S'))]
    return [run.state === 'stopped' ? button('Resume', () => resume(), {class: 'main', id: 'resume'}) : null, run.state !== 'failed' ? button('Clone with changes', clone) : null, run.report ? link(`/runs/${id}/report`, {class: 'button'}, 'Report') : null]
  }

  function message() {
    if (run.state !== 'failed' && run.state !== 'stopped') return null
    const kept = run.checkpoints?.length ? `State of step ${Number(run.checkpoints.at(-1).replace(/\D/g, '')).toLocaleString('en')}, ${count(run.media.length, 'picture')}, the curves up to step ${written(run.step ?? 0, null, null, {form: 'count'})}.` : 'The run folder, without a saved state.'
    const todo = run.state === 'failed' ? 'Go on from the saved state, or start again with a smaller learning rate.' : 'Resume goes on from the saved state and gives the same bits as never stopping.'
    const rows = [['What', capital(run.why) || (run.state === 'failed' ? 'The run failed.' : 'Stopped before its end.')], ['What is kept', kept], ['What to do', todo]]
    return el('div', {class: `failure ${run.state}`, role: run.state === 'failed' ? 'alert' : null}, el('dl', {}, rows.map(([a, b]) => [el('dt', {}, a), el('dd', {}, b)])),
      el('p', {class: 'acts'}, run.state === 'failed' ? [button('Go on from the saved state', () => resume(), {class: 'main', id: 'resume'}), button('Clone with changes', clone)] : null, link(`/runs/${id}/log`, {}, 'Last lines of the log'),
        button('Copy this message', () => navigator.clipboard?.writeText(rows.map((r) => r.join(': ')).join('\n')), {class: 'link'})))
  }

  async function stop() {
    if (!stopping && !await confirm(`Stop ${run.name}?`, 'It finishes its step, saves its state and can be resumed with the same bits.', 'Stop and keep state')) return
    stopping += 1
    draw()
    try { await post(`/api/runs/${id}/stop`) } catch (error) {
      stopping = 0
      toast(error.message)
      await again()
    }
  }

  const press = key()
  async function resume() {
    say('resuming')
    try {
      await post(`/api/runs/${id}/resume`, {key: `${press}-${run.step ?? 0}-${run.checkpoints.length}`, steps: 0})
      toast('Resuming: reading the data', null, null, 6)
    } catch (error) { toast(error.message) }
  }

  function clone() { go(`/new?clone=${id}`) }

  async function again() {
    const mine = ++asking, next = await get(`/api/runs/${id}`).catch(() => null)
    if (mine !== asking || !next) return
    const before = run.state, began = !run.budget && next.budget
    run = next
    if (before !== run.state) {
      say(`${run.name}: ${run.state}`)
      if (run.state !== 'running') stopping = 0
    }
    draw()
    if (began) await begin()
    else shown?.changed?.(run)
  }

  async function begin() {
    shown?.close?.()
    put(body)
    shown = run.budget ? await made(body, context) : null
  }

  draw()
  await begin()
  const clock = setInterval(() => {
    if (stale()) return
    if (!run.budget) again()
    else if (run.state === 'running') draw()
  }, 1000)
  return {
    title: run.name,
    stream: {list: false, run: id, offset: shown?.offset ?? 0},
    events: {
      rows: ({rows}, offset) => {
        heard = Date.now()
        const last = rows.at(-1)
        Object.assign(run, {step: last.step, epoch: last.epoch, time_s: last.time_s})
        if (stopping < 1 && run.state === 'running') draw()
        shown?.rows?.(rows, offset)
      },
      anew: () => shown?.anew?.(),
      run: () => again(),
      gone: () => { if (run.budget) again() },
    },
    // Those of the tab come before those of the run.
    get keys() { return {
      ...Object.fromEntries(TABS.map(([t], i) => [String(i + 1), () => go(`/runs/${id}${t ? `/${t}` : ''}`)])),
      s: () => run.state === 'running' ? void stop() : false,
      '?': help,
      Escape: () => go('/'),
      ...shown?.keys,
    } },
    close: () => {
      clearInterval(clock)
      shown?.close?.()
    },
  }
}
