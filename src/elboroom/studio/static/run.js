// One run: what it is, how far it is, what can be done with it; then its tabs. The head is drawn once; while a run trains
// only its words change.

import {el, put, held, text, link, named, button, kbd, say} from './dom.js'
import {get, post, key} from './api.js'
import {written, took, count} from './numbers.js'
import {state, progress, remaining, ending} from './words.js'
import {go, toast} from './app.js'
import {confirm, help} from './keys.js'
import {stale} from './stream.js'
import * as overview from './overview.js'
import * as tabs from './tabs.js'
import {play} from './play.js'

const TABS = [['', 'Overview', overview.overview], ['samples', 'Samples', tabs.samples], ['play', 'Play', play], ['settings', 'Settings', tabs.settings],
  ['files', 'Files', tabs.files], ['log', 'Log', tabs.log], ['report', 'Report', tabs.report]]
const FACTS = {done: '', step: 'step ', gone: '', left: 'left ', ends: 'ends about ', rate: 'rate '}
const MINUTE = 60, LEARN_MS = 2000

const ago = (at) => Date.now() - at < 1500 ? '1 s' : took(Math.round((Date.now() - at) / 1000))
const capital = (words) => words ? words[0].toUpperCase() + words.slice(1) : ''
const whole = (n) => written(n ?? 0, null, null, {form: 'count'})

export async function open(main, {parts, query}) {
  const [id, tab = ''] = parts, made = (TABS.find((t) => t[0] === tab) ?? TABS[0])[2]
  let run, stopping = 0, sending = false, heard = 0, shown = null, asking = 0, asked = 0, press = key(), trail = []
  try { run = await get(`/api/runs/${id}`) } catch (error) {
    if (error.status !== 404) throw error
    put(main, el('h1', {}, 'This run is not here.'), el('p', {class: 'soft'}, error.message), link('/', {}, 'to the runs'))
    return {title: 'Run'}
  }
  const top = el('div'), body = el('div'), spots = {}
  put(main, top, body)
  const context = {id, query, run: () => run, act: {resume, clone}}
  taken(run)

  function taken(next) {
    run = next
    stopping = run.state !== 'running' ? 0 : sending ? Math.max(stopping, run.stopping ?? 0) : run.stopping ?? 0
    heard = Math.max(heard, 1000 * (run.logged_s ?? 0))
    if (run.time_s) trail.push([run.time_s, run.step])
  }

  // Steps a second of the last minute: by what this page has seen, else by what the run folder says.
  function pace() {
    const last = trail.at(-1)
    trail = last ? trail.filter(([t]) => t <= last[0] && t > last[0] - MINUTE) : []
    const [first] = trail
    return first && last[0] - first[0] > 10 ? (last[1] - first[1]) / (last[0] - first[0]) : run.pace
  }

  const begun = () => Boolean(run.budget) && run.state !== 'unreadable'
  const going = () => sending === 'resume' || Boolean(run.job_now?.alive && run.job_later)

  // The parts of the head, each a place of its own.
  function frame() {
    if (spots.state) return
    for (const [name, label] of Object.entries(FACTS)) {
      spots[name] = el('b')
      spots[`${name} fact`] = el('span', {hidden: true}, name === 'gone' ? spots.label = el('span') : label, spots[name])
    }
    Object.assign(spots, {state: el('span'), acts: el('div', {class: 'end'}), bar: el('i'), live: el('span', {class: 'end note'}), message: el('div')})
    spots.track = el('div', {role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': 'progress'}, spots.bar)
    put(top, el('p', {class: 'crumb'}, link('/', {}, 'Runs'), ` / ${run.model} on `, named(run.data)), el('div', {class: 'head', style: {marginBottom: 0}}, el('h1', {}, named(run.name)), spots.state, spots.acts), spots.track,
      el('div', {class: 'facts'}, Object.keys(FACTS).map((name) => spots[`${name} fact`]), spots.live), spots.message,
      el('nav', {class: 'tabs', 'aria-label': 'parts of this run'}, TABS.map(([t, name]) => link(`/runs/${id}${t ? `/${t}` : ''}`, {'aria-current': t === tab ? 'page' : null, id: `tab-${t}`}, name))))
  }

  function draw() {
    if (!begun()) return drawStarting()
    frame()
    const done = progress(run), live = run.state === 'running', recent = pace(), rate = live && recent || (run.time_s > 1 && run.step ? run.step / run.time_s : 0)
    const name = going() ? 'starting' : stopping && live ? 'stopping' : run.state, share = Math.round(1000 * done.share) / 10
    const facts = {done: done.text, step: run.steps ? `${whole(run.step)} of ${whole(run.steps)}` : '', gone: run.time_s ? took(run.time_s) : '',
      left: live && run.steps ? remaining(run, recent) || (run.time_s ? 'known after 10 s' : 'not known yet') : '', ends: ending(run, recent), rate: rate ? speed(rate) : ''}
    for (const [fact, words] of Object.entries(facts)) {
      text(spots[fact], words)
      spots[`${fact} fact`].hidden = !words
    }
    text(spots.label, live ? 'gone ' : 'training ')
    held(spots.state, name, () => state(name))
    held(spots.acts, [run.state, stopping, going(), run.checkpoints.length > 0, run.report], () => actions(live))
    held(spots.message, [run.state, run.why, run.step, run.checkpoints, run.media.length, going(), run.job_now, run.job_later], message)
    held(spots.live, [live, !live && run.started], () => live ? [el('span', {class: 'good'}, '● '), spots.age = el('span')] : run.started ? `started ${written(run.started, null, null, {form: 'date'})}` : '')
    if (live) text(spots.age, heard ? `live, last step ${ago(heard)} ago` : 'live, no step yet')
    spots.track.className = `track wide ${run.state}`
    spots.track.setAttribute('aria-valuenow', Math.round(share))
    spots.bar.style.width = `${share}%`
  }

  // "31 s an epoch, 1,742 images/s"
  function speed(rate) {
    const b = run.budget, steps = rate > 1 ? `${written(Number(rate.toPrecision(3)))} steps a second` : `${took(1 / rate)} a step`
    const epoch = b.steps_per_epoch > 1 ? `${took(b.steps_per_epoch / rate)} an epoch` : steps
    return b.batch_size ? `${epoch}, ${written(Number((rate * b.batch_size).toPrecision(3)))} ${run.reading?.spec?.kind === 'images' ? 'images' : 'examples'}/s` : epoch
  }

  // A start that has no run folder yet, one that ended before there was one, or a folder that cannot be read.
  function drawStarting() {
    const {why, command, said, job} = run, damaged = run.state === 'unreadable'
    spots.state = null
    held(top, [run.state, why, said, command], () => [el('p', {class: 'crumb'}, link('/', {}, 'Runs')), el('div', {class: 'head'}, el('h1', {}, named(run.name)), state(run.state)),
      damaged ? failure([['What', capital(why)], ['What is kept', 'The other files of the folder, untouched.'], ['What to do', 'Put a copy of the file back, or take the folder away: tick it in the list and move it to the bin.']])
      : run.state === 'failed' ? failure([['What', capital(why)], ['What is kept', 'Nothing had begun; your data are as they were.']], el('p', {class: 'acts'}, link(`/new?clone=${id}`, {class: 'button main'}, 'Change and start again'), button('Take it off the list', forget)))
      : el('p', {class: 'soft', role: 'status'}, 'Starting: reading the data, building the model. The first step comes in a few seconds.'),
      job || command ? el('div', {class: 'command'}, el('code', {}, command ?? '')) : null, said?.length ? el('pre', {class: 'log'}, said.slice(-20).join('\n')) : null])
  }

  async function forget() {
    try {
      await post(`/api/runs/${id}/forget`)
      go('/')
    } catch (error) { toast(error.message) }
  }

  const failure = (rows, ...more) => el('div', {class: `failure ${run.state}`, role: run.state === 'failed' ? 'alert' : null}, el('dl', {}, rows.map(([a, b]) => [el('dt', {}, a), el('dd', {}, b)])), more)

  function actions(live) {
    if (live) return [link(`/runs/${id}/report`, {class: 'button'}, 'Report so far'), button('Clone with changes', clone),
      button(['Stop and keep state', 'Stopping… press again to end without saving', 'Ending…'][Math.min(stopping, 2)], stop, {id: 'stop', disabled: stopping > 1}, kbd('S'))]
    const kept = run.checkpoints.length > 0
    return [run.state === 'stopped' && kept ? resumer('Resume') : null, run.state === 'failed' ? null : button('Clone with changes', clone), run.report ? link(`/runs/${id}/report`, {class: 'button'}, 'Report') : null]
  }
  const resumer = (label) => button(going() ? 'Resuming…' : label, resume, {class: label === 'Resume' ? 'main' : '', id: 'resume', disabled: going()})

  function message() {
    if (run.state !== 'failed' && run.state !== 'stopped') return null
    const saved = run.checkpoints.at(-1), failed = run.state === 'failed', now = run.job_now
    const kept = saved ? `State of step ${whole(Number(saved.replace(/\D/g, '')))}, ${count(run.media.length, 'picture')}, the curves up to step ${whole(run.step)}.` : 'The run folder, without a saved state.'
    const todo = !saved ? 'Start it again with other settings.' : failed ? 'Clone it with changes, such as a smaller learning rate; going on from the saved state helps where the cause has gone, a full disk for example.' : 'Resume goes on from the saved state and gives the same bits as never stopping.'
    const rows = [['What', capital(shortly(run.why)) || (failed ? 'The run failed.' : 'Stopped before its end.')], now && run.job_later && !now.alive ? ['When it was last resumed', capital(now.said) || 'Its process ended without a word.'] : null, ['What is kept', kept], ['What to do', todo]].filter(Boolean)
    return failure(rows, el('p', {class: 'acts'}, failed ? [button('Clone with changes', clone, {class: 'main'}), saved ? resumer('Go on from the saved state') : null] : null, link(`/runs/${id}/log`, {}, 'Last lines of the log'),
      button('Copy this message', () => navigator.clipboard?.writeText(rows.map((r) => r.join(': ')).join('\n')), {class: 'link'})))
  }

  // A stop as a page says it, which has a button for what the command line tells one to type.
  const shortly = (why) => (why ?? '').replace(/^stopped by a signal at/i, 'stopped at').replace(/; the state is saved, go on with: .*$/, '; the state is saved')

  // A page that has not heard of a stop asks for the first one only: a second one would end the run without saving its step.
  async function stop() {
    const first = !stopping
    if (first && !await confirm(`Stop ${run.name}?`, 'It finishes its step, saves its state and can be resumed with the same bits.', 'Stop and keep state')) return
    if (run.state !== 'running' || sending || first !== !stopping) return
    stopping += 1
    await sent('stop', () => post(`/api/runs/${id}/stop${first ? '?first=1' : ''}`))
  }

  // One key a press; after a refusal or a failure the next press is another one.
  async function resume() {
    if (going()) return
    say('resuming')
    await sent('resume', () => post(`/api/runs/${id}/resume`, {key: press, steps: 0}), 'Resuming: reading the data')
  }

  async function sent(what, ask, told) {
    sending = what
    draw()
    try {
      await ask()
      if (told) toast(told, null, null, 6)
    } catch (error) {
      if (error.status) press = key()
      toast(error.message)
    }
    await again(() => { sending = false })
    draw()
  }

  function clone() { go(`/new?clone=${id}`) }

  async function again(before = () => {}) {
    asked = Date.now()
    const mine = ++asking, next = await get(`/api/runs/${id}`).catch(() => null)
    before()
    if (mine !== asking || !next) return
    const was = run.state, resumed = going(), old = begun()
    taken(next)
    if (resumed && !going()) press = key()
    if (was !== run.state) say(`${run.name}: ${run.state}`)
    draw()
    if (begun() !== old) await begin()
    else shown?.changed?.(run)
  }

  async function begin() {
    shown?.close?.()
    put(body)
    if (begun()) top.madeOf = ''
    shown = begun() ? await made(body, context) : run.state === 'unreadable' ? await tabs.files(body, context) : null
  }

  // What the newest rows say of where the run is.
  function follow(rows) {
    const last = rows.at(-1), main = run.curve_name || '', value = rows.findLast((row) => main in row)?.[main]
    heard = Date.now()
    Object.assign(run, {step: last.step, epoch: last.epoch, time_s: last.time_s})
    if (run.time_s) trail.push([run.time_s, run.step])
    if (Number.isFinite(value) && run.headline?.key === main) run.headline = {...run.headline, value, text: written(value)}
    else if (run.state === 'running' && !main.startsWith('valid/') && Date.now() - asked > LEARN_MS && rows.some((row) => !main || main.replace('train/', 'valid/') in row)) again()
    if (run.state === 'running') draw()
  }

  draw()
  await begin()
  const clock = setInterval(() => {
    if (stale()) return
    if (run.state === 'starting' || going()) again()
    else if (run.state === 'running') draw()
  }, 1000)
  return {
    title: run.name,
    stream: {list: false, run: id, offset: shown?.offset ?? 0},
    events: {
      rows: ({rows}, offset) => {
        follow(rows)
        shown?.rows?.(rows, offset)
      },
      anew: () => shown?.anew?.(),
      run: () => again(),
      gone: () => toast(`The folder of ${run.name} is not here any more; what is shown is what was read of it.`),
    },
    get dropped() { return shown?.dropped },
    get told() { return shown?.told },
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
