// New run: data, model, settings, start. Nothing starts before Start. The command line and the form are two views of one
// thing, and every field is checked by the validator of the command line.

import {el, put, link, named, button, kbd} from './dom.js'
import {get, post, key} from './api.js'
import {written, count, left} from './numbers.js'
import {go, toast} from './app.js'
import {take, waits, pickers, send, pictures} from './drop.js'
import {range} from './models.js'
import {reading, SAID, ROLES} from './reading.js'
import {grouped, toStartWith, uses} from './wants.js'

const KINDS = ['images', 'table', 'series', 'sequences', 'text', 'documents']
const FIRST = 6 // settings before "all"
const CHECK_MS = 60, TRIAL_MS = 1500
const READING = ['kind', 'scale', 'size', 'channels', 'label', 'time', 'columns', 'observed', 'group-by', 'train-until', 'split', 'strict', 'tokenizer', 'window', 'period']
const flag = (setting) => setting.name.replaceAll('_', '-')
const text = (v) => Array.isArray(v) ? v.join(',') || 'none' : v === true ? 'on' : v === false ? 'off' : String(v)

// The words of the page beside a sentence of the program, which speaks of flags.
function onPage(message, roles) {
  const words = [[/--columns/, 'set such a column to “left out”, or the classes to “label”, under “Use as” above'], [/--label/, 'choose the “label” under “Use as” above'], [/--time/, 'choose the “time” under “Use as” above']]
  const found = words.find(([flag]) => flag.test(message))
  return found && roles ? ` On this page: ${found[1]}, or choose another model.` : /--[a-z]/.test(message) ? ' On this page: add the flag to the command line below, or choose another model.' : ''
}

export async function panel(query) {
  const models = await get('/api/models')
  const f = {data: null, name: '', found: null, model: '', fields: null, options: {}, errors: {}, all: false, key: key(), state: '', ...JSON.parse(sessionStorage.getItem('new run') ?? '{}')}
  let sending = null, looking = null, timer = 0, checking = 0, picking = 0, trying = 0, ahead = null, pasted = null, closed = false
  const dataPart = el('div'), modelPart = el('div'), settingsPart = el('div'), startPart = el('div', {class: 'start'})
  const node = el('aside', {class: 'side', 'aria-label': 'new run'}, el('div', {class: 'head'}, el('h1', {}, 'New run'), el('span', {class: 'note'}, 'nothing starts before you press Start'),
    el('div', {class: 'end'}, link('/', {class: 'button'}, 'Close', kbd('Esc')))), dataPart, modelPart, settingsPart, startPart)
  const keep = () => sessionStorage.setItem('new run', JSON.stringify({data: f.data, name: f.name, model: f.model, options: f.options, all: f.all}))

  // ---- 1 data -------------------------------------------------------------------------------------------------------

  const picks = pickers(() => dropped()), known = el('datalist', {id: 'sets'}), shots = el('div', {class: 'thumbs'}), told = el('div'), bar = el('p', {class: 'note', role: 'status'})
  function drawData() {
    const sets = el('input', {list: 'sets', placeholder: 'or a name, as digits', 'aria-label': 'a named set', value: f.data?.set ?? '', size: 18, onchange: (e) => e.target.value && choose({set: e.target.value.trim()}, e.target.value.trim())})
    const kinds = el('div', {class: 'seg', role: 'group', 'aria-label': 'read as'}, KINDS.map((k) => button(k === 'series' ? 'time series' : k, () => setOption('kind', k), {'aria-pressed': String((f.options.kind ?? f.found?.spec.kind) === k), id: `kind-${k}`})))
    put(dataPart, el('h2', {}, el('i', {}, '1'), 'Data', el('span', {class: 'note'}, 'it stays on this machine')),
      el('div', {class: 'zone'}, el('span', {}, 'Drop a file or folder here.'), picks, sets, f.data?.run ? el('span', {class: 'note', id: 'cloned'}, 'the data of the cloned run: ', named(f.name, 40)) : null, known),
      bar, shots, f.data ? kinds : null, f.found?.spec.kind === 'table' && !roleOf(f.found) ? labels() : null, told)
  }

  function labels() {
    const names = (f.found.columns ?? f.found.spec.columns ?? []).map((c) => c.name)
    return el('p', {class: 'field'}, el('label', {for: 'label-of'}, 'Label column'), el('select', {id: 'label-of', onchange: (e) => setOption('label', e.target.value)},
      el('option', {value: ''}, 'none'), names.map((n) => el('option', {value: n, selected: f.options.label === n}, n))))
  }

  async function choose(data, name) {
    f.data = data
    f.name = name
    keep()
    await read()
  }

  async function read() {
    looking?.abort()
    const mine = looking = new AbortController()
    f.found = null
    f.state = 'reading'
    put(bar, `reading ${f.name} `, button('Break off', () => mine.abort(), {class: 'link'}))
    drawData()
    drawStart()
    const options = Object.fromEntries(Object.entries(f.options).filter(([n]) => READING.includes(n)))
    try {
      const found = await post('/api/readings', {data: f.data, options}, mine.signal)
      if (looking !== mine || closed) return
      f.found = found
      if (f.data.run) f.name = found.name
      const role = roleOf(found)
      put(told, reading(found, role, role ? (name) => role.set(name, 'label') : found.spec.kind === 'table' && f.data.upload ? (name) => setOption('label', name) : null))
      if (!models.some((m) => m.name === f.model && m.kinds.includes(found.spec.kind))) pickModel(toStartWith(found.spec.kind, models))
    } catch (error) {
      if (looking !== mine || closed) return
      put(told, el('p', {class: 'said-bad', role: 'alert'}, error.name === 'AbortError' ? 'Broken off: these data were not read. Choose them again, or others.' : error.message))
    }
    f.state = ''
    put(bar)
    drawData()
    drawModels()
    drawStart()
    tryLater()
  }

  // What each column is used as: a select, where names can be written as a list of the command line.
  function roleOf(found) {
    if (!['table', 'series'].includes(found.spec.kind) || f.data?.set) return null
    const names = (found.columns ?? []).map((c) => c.name), read_ = found.reading ?? {}, time = read_.time || found.series?.time
    if (!names.length || names.some((n) => /[,\s]$|^\s|,/.test(n))) return null
    const used = f.options.columns?.split(',')
    const now = (n) => n === read_.label ? 'label' : n === time ? 'time' : n === read_.group_by ? 'group' : used && !used.includes(n) ? 'out' : 'used'
    const set = (name, role) => {
      const roles = new Map(names.map((n) => [n, n === name ? role : now(n) === role && ['label', 'time', 'group'].includes(role) ? 'used' : now(n)]))
      const of = (role) => names.filter((n) => roles.get(n) === role)
      for (const [flag_, role] of [['label', 'label'], ['time', 'time'], ['group-by', 'group']]) of(role).length ? f.options[flag_] = of(role)[0] : delete f.options[flag_]
      of('out').length ? f.options.columns = of('used').join(',') : delete f.options.columns
      f.key = key()
      keep()
      read()
      check()
    }
    const open = Object.keys(ROLES).filter((r) => found.spec.kind === 'table' ? r !== 'time' : r !== 'group' || read_.group_by)
    const draw = (name) => el('select', {'aria-label': `${name} is used as`, 'aria-describedby': 'roles', title: ROLES[now(name)][1], onchange: (e) => set(name, e.target.value)}, open.map((r) => el('option', {value: r, selected: r === now(name), title: ROLES[r][1]}, ROLES[r][0])))
    return Object.assign(draw, {open, set})
  }

  async function dropped() {
    const what = take()
    if (!what) return
    f.options = Object.fromEntries(Object.entries(f.options).filter(([n]) => !READING.includes(n)))
    sending?.abort()
    sending = new AbortController()
    f.data = null
    f.found = null
    put(told)
    put(shots, pictures(what).map((file) => {
      const shown = URL.createObjectURL(file)
      return el('img', {src: shown, alt: file.name, onload: () => URL.revokeObjectURL(shown)})
    }))
    drawData()
    const off = button('Break off', () => sending.abort(), {class: 'link'})
    put(bar, `bringing ${what.name} to the holding place `, off)
    try {
      const {id, name} = await send(what, (sent, all) => put(bar, `${written(sent, null, null, {form: 'size'})} of ${written(all, null, null, {form: 'size'})} brought to the holding place `, off), sending.signal)
      await choose({upload: id}, name)
    } catch (error) {
      put(bar)
      put(told, el('p', {class: 'said-bad', role: 'alert'}, error.name === 'AbortError' ? 'Broken off; nothing was started.' : error.message))
    }
  }

  // ---- 2 model ------------------------------------------------------------------------------------------------------

  function drawModels() {
    const kind = f.found?.spec.kind, fits = models.filter((m) => !kind || m.kinds.includes(kind)), rest = models.filter((m) => !fits.includes(m))
    const first = toStartWith(kind, models)
    const card = (m) => el('button', {type: 'button', id: `model-${m.name}`, title: m.summary, 'aria-pressed': String(m.name === f.model), onclick: () => pickModel(m.name)},
      el('b', {}, m.name, m.name === first ? el('span', {class: 'accent'}, 'start with this') : null), el('span', {}, uses(m, kind).join(' · ')), el('span', {class: 'note'}, m.summary))
    put(modelPart, el('h2', {}, el('i', {}, '2'), 'Model', el('span', {class: 'note'}, kind ? `what ${SAID[kind] ?? kind} can be used for` : 'data first: they decide')),
      grouped(fits, first).map(([what, list]) => [el('h3', {class: 'want'}, what), el('div', {class: 'wants'}, list.map(card))]),
      rest.length ? el('details', {class: 'note'}, el('summary', {}, `${rest.length} others cannot read ${SAID[kind] ?? kind}`), el('ul', {}, rest.map((m) => el('li', {}, `${m.name} reads ${m.kinds.join(', ')}`)))) : null)
  }

  async function pickModel(name) {
    if (name !== f.model) {
      const known = new Set([...READING, 'epochs', 'steps', 'minutes', 'seed'])
      f.options = Object.fromEntries(Object.entries(f.options).filter(([n]) => known.has(n)))
    }
    const mine = ++picking
    f.model = name
    f.fields = null
    keep()
    drawModels()
    if (!name) return
    const fields = await get(`/api/models/${encodeURIComponent(name)}`).catch((error) => error)
    if (mine !== picking || closed) return
    if (fields instanceof Error) return put(settingsPart, el('p', {class: 'said-bad'}, fields.message))
    f.fields = fields
    drawSettings()
    drawStart()
    await check()
  }

  // ---- 3 settings ---------------------------------------------------------------------------------------------------

  function setOption(name, value, standard = '') {
    const before = f.options[name]
    if (value === '' || value === standard) delete f.options[name]
    else f.options[name] = value
    if (before === f.options[name]) return
    f.key = key()
    keep()
    if (READING.includes(name) && f.data) read()
    drawStart()
    clearTimeout(timer)
    timer = setTimeout(check, CHECK_MS)
  }

  async function check() {
    const mine = ++checking
    if (!f.model) return
    try {
      const answer = await post('/api/check', {model: f.model, options: f.options})
      if (mine !== checking || closed) return
      f.errors = answer.errors
    } catch (error) {
      if (mine !== checking || closed) return
      f.errors = {'': error.message}
    }
    showErrors()
    drawStart()
    tryLater()
  }

  // How long it would take, by a trial; asked for once the form has stood still.
  function tryLater() {
    clearTimeout(trying)
    const wrong = ahead?.wrong
    ahead = null
    if (wrong) drawStart()
    if (refused() || closed) return drawAhead()
    trying = setTimeout(async () => {
      const asked = JSON.stringify([f.model, f.data, f.options])
      ahead = {text: 'trying a few steps to tell how long it takes'}
      drawAhead()
      const answer = await post('/api/estimate', {model: f.model, data: f.data, options: f.options}).catch((error) => ({error: error.message, refused: error.status === 400}))
      if (closed || asked !== JSON.stringify([f.model, f.data, f.options])) return
      ahead = answer.refused ? {text: 'this cannot be started as it is', wrong: answer.error} : answer.error ? {text: `how long it takes is not known: ${answer.error}`} : {text: cost(answer), warn: tight(answer)}
      drawAhead()
      if (answer.refused) drawStart()
    }, TRIAL_MS)
  }
  const tight = (a) => a.free_bytes && a.memory_bytes > 0.8 * a.free_bytes ? `It needs about ${written(a.memory_bytes, null, null, {form: 'size'})} of memory and this machine has ${written(a.free_bytes, null, null, {form: 'size'})} free: it may be ended for it. A smaller batch-size needs less.` : ''
  const cost = (a) => `takes about ${left(a.seconds)}${a.compiled ? ', less once it is compiled' : ''}; ${count(a.steps, 'step')}, ${written(a.memory_bytes, null, null, {form: 'size'})} of memory, ${count(a.parameters, 'parameter')}`
  const foretold = el('p', {class: 'note', id: 'foretold', role: 'status'})
  function drawAhead() {
    put(foretold, ahead?.text ?? 'time is told by a trial of a few steps, once data and settings are there')
    foretold.classList.toggle('said-warn', Boolean(ahead?.warn))
    if (ahead?.warn) foretold.append(` △ ${ahead.warn}`)
  }

  // Folded until it is opened, and then open as long as the tab is; it stays in place while what is in it is drawn anew.
  const inside = el('div'), changes = el('span', {class: 'soft'})
  const fold = el('details', {open: sessionStorage.getItem('settings') === 'open', ontoggle: () => sessionStorage.setItem('settings', fold.open ? 'open' : '')},
    el('summary', {id: 'settings'}, el('h2', {}, el('span', {}, el('i', {}, '3'), ' Settings', changes))), inside)

  function showErrors() {
    const names = new Set([...(f.fields?.settings ?? []).map(flag), 'seed', 'preset']), changed = Object.keys(f.options).filter((n) => names.has(n)).length, wrong = Object.keys(f.errors).filter((n) => names.has(n) && f.errors[n])
    if (!f.all && wrong.some((n) => !settingsPart.querySelector(`[data-name="${CSS.escape(n)}"]`))) { // an error is never out of sight
      f.all = true
      return drawSettings()
    }
    if (wrong.length) fold.open = true
    changes.textContent = changed ? `: the defaults are fine; ${changed} changed` : ': the defaults are fine'
    for (const box of settingsPart.querySelectorAll('.field')) {
      const error = f.errors[box.dataset.name], note = box.querySelector('[data-said]')
      box.querySelector('input,select')?.setAttribute('aria-invalid', String(Boolean(error)))
      note.classList.toggle('bad', Boolean(error))
      note.textContent = error || note.dataset.said
      box.querySelector('.changed').hidden = !(box.dataset.name in f.options)
    }
  }

  function field(name, label, standard, said, choices = [], doc = '') {
    const id = `set-${name}`, value = f.options[name] ?? standard, about = `${id}-doc ${id}-said`
    const change = (e) => setOption(name, e.target.value.trim(), standard)
    const input = choices.length ? el('select', {id, 'aria-describedby': about, onchange: change}, choices.map((c) => el('option', {value: c, selected: c === value}, c)))
      : el('input', {id, value, 'aria-describedby': about, autocomplete: 'off', spellcheck: 'false', oninput: change})
    return el('div', {class: 'field', 'data-name': name}, el('label', {for: id}, label, el('span', {class: 'accent changed', hidden: !(name in f.options)}, 'changed')),
      el('p', {class: 'doc', id: `${id}-doc`}, doc), input, el('p', {class: 'note', id: `${id}-said`, 'data-said': said}, said))
  }

  function drawSettings() {
    const all = f.fields?.settings ?? [], sorted = [...all].sort((a, b) => rank(a.name) - rank(b.name)), shown = f.all ? all : sorted.slice(0, FIRST)
    const more = all.length > FIRST ? button(f.all ? 'fewer' : `all ${all.length}`, () => { f.all = !f.all; keep(); drawSettings() }, {class: 'link', id: 'all-settings'}) : null
    const type = (s) => s.choices.length || /^[A-Z](?!nnotated)/.test(s.type) ? '' : `${range(s.type)}, `
    if (!fold.isConnected) put(settingsPart, fold)
    put(inside, f.fields?.presets.length ? el('p', {class: 'field', 'data-name': 'preset'}, el('label', {for: 'set-preset'}, 'Preset', el('span', {class: 'accent changed', hidden: !f.options.preset}, 'changed')),
        el('select', {id: 'set-preset', onchange: (e) => setOption('preset', e.target.value)}, el('option', {value: ''}, 'none'), f.fields.presets.map((p) => el('option', {value: p, selected: f.options.preset === p}, p))), el('span', {class: 'note', 'data-said': 'settings, budget and reading under one name'}, 'settings, budget and reading under one name')) : null,
      el('div', {class: 'fields'}, shown.map((s) => field(flag(s), s.name.replaceAll('_', ' '), text(s.default), `${type(s)}default ${text(s.default)}`, s.type === 'bool' ? ['on', 'off'] : s.choices, s.doc)),
        field('seed', 'seed', '0', 'whole number ≥ 0, default 0', [], 'Where chance starts: same seed, same result.')),
      more ? el('p', {class: 'note'}, `${shown.length} of ${all.length} shown `, more) : null)
    showErrors()
  }

  const rank = (name) => ['latent', 'hidden', 'lr', 'batch_size', 'layers', 'width', 'cell', 'window', 'beta', 'backbone', 'codes'].indexOf(name) + 1 || 99

  // ---- start --------------------------------------------------------------------------------------------------------

  const quote = (w) => /^[\w./:=@%+,-]+$/.test(w) ? w : `'${w.replaceAll("'", `'\\''`)}'`
  const command = () => ['elboroom fit', f.model || 'MODEL', quote(f.name || 'DATA'), ...Object.entries(f.options).map(([n, v]) => v === 'on' ? `--${n}` : v === 'off' ? `--no-${n}` : `--${n} ${quote(v)}`)].join(' ')

  const wrong = () => Object.entries(f.errors).filter(([, v]) => v)
  const refused = () => !f.data ? 'Data first.' : f.state === 'reading' ? 'The data are being read.' : !f.found ? 'These data cannot be read as they are.' : !f.model ? 'No model reads these data.'
    : wrong().length ? `${wrong().length === 1 ? 'One setting needs' : `${wrong().length} settings need`} a change before this can start: ${wrong().map(([n, v]) => n || v).join(', ')}.`
      : ahead?.wrong ? `${ahead.wrong.replace(/[.;]?$/, '.')}${onPage(ahead.wrong, roleOf(f.found))}` : ''

  function drawStart() {
    if (startPart.contains(document.activeElement) && document.activeElement.matches('textarea')) return
    const line = el('textarea', {rows: 1, spellcheck: 'false', 'aria-label': 'the same as a command line; paste one to fill the form', value: command(), onchange: (e) => paste(e.target.value), onpaste: (e) => setTimeout(() => { e.target.blur() })})
    const named_ = ['epochs', 'steps', 'minutes'].find((b) => b in f.options) ?? f.budget ?? 'epochs'
    const amount = el('input', {id: 'budget', size: 5, value: f.options[named_] ?? '', placeholder: named_ === 'epochs' && f.fields ? String(f.fields.epochs) : '', 'aria-label': `budget in ${named_}`, 'aria-invalid': String(Boolean(f.errors[named_])), oninput: (e) => setOption(named_, e.target.value.trim())})
    const unit = el('select', {'aria-label': 'unit of the budget', id: 'budget-unit', onchange: (e) => { const v = f.options[named_]; delete f.options[named_]; f.budget = e.target.value; if (v) f.options[f.budget] = v; drawStart(); check() }}, ['epochs', 'steps', 'minutes'].map((u) => el('option', {selected: u === named_}, u)))
    const why = refused()
    put(startPart, el('div', {class: 'command'}, line, button('copy', () => navigator.clipboard?.writeText(command()), {class: 'link'})),
      el('p', {class: 'acts'}, amount, unit, foretold, el('span', {style: {marginLeft: 'auto'}}, button('Start', start, {class: 'main', id: 'start', disabled: Boolean(why) || f.state === 'starting'}))),
      why && f.data ? el('p', {class: wrong().length || ahead?.wrong ? 'said-bad' : 'note', role: 'status', id: 'refused'}, why) : null)
  }

  const paste = (line) => pasted = taken(line).finally(() => { pasted = null })
  async function taken(line) {
    if (line.trim() === command()) return
    try {
      const answer = await post('/api/command', {command: line})
      if (!answer.ok) throw new Error(Object.values(answer.errors)[0])
      f.options = answer.options
      f.model = answer.model // so that its settings are not taken for those of another model
      f.key = key()
      if (answer.note) toast(answer.note)
      if (answer.left_out?.length) toast(`left out: ${answer.left_out.map((n) => `--${n}`).join(', ')}; a page decides these itself`)
      await pickModel(answer.model)
      const same = JSON.stringify(f.data) === JSON.stringify(answer.data.upload ? {upload: answer.data.upload} : {set: answer.data.set})
      if (answer.data.upload) await choose({upload: answer.data.upload}, answer.data.name)
      else if (answer.data.set && !same) await choose({set: answer.data.set}, answer.data.set)
      drawSettings()
      drawStart()
      check()
    } catch (error) {
      drawStart()
      startPart.append(el('p', {class: 'said-bad', role: 'alert'}, error.message))
    }
  }

  async function start() {
    document.activeElement?.blur() // a line that was just pasted is taken first
    await pasted
    if (refused()) return
    f.state = 'starting'
    const press = startPart.querySelector('#start')
    press.disabled = true
    press.textContent = 'Starting…'
    try {
      const job = await post('/api/start', {key: f.key, model: f.model, data: f.data, options: f.options})
      f.key = key()
      sessionStorage.removeItem('new run')
      go(`/runs/${job.id}`)
    } catch (error) {
      f.state = ''
      if (error.status) f.key = key() // without an answer the same press may have been heard
      drawStart()
      startPart.append(el('p', {class: 'said-bad', role: 'alert'}, error.message))
    }
  }

  async function begin() {
    const from = query.get('clone')
    if (from) await clone(from)
    else if (query.get('set') || query.get('upload') || query.get('model')) {
      f.options = query.get('epochs') ? {epochs: query.get('epochs')} : {}
      f.model = query.get('model') ?? f.model
      if (query.get('set')) [f.data, f.name] = [{set: query.get('set')}, query.get('set')]
      if (query.get('upload')) {
        const up = (await get('/api/uploads')).find((u) => u.id === query.get('upload'))
        if (up) [f.data, f.name] = [{upload: up.id}, up.name]
      }
    }
    if (from || query.size) history.replaceState(null, '', '/new')
    f.key = key()
    f.errors = {}
    drawData()
    drawModels()
    drawStart()
    get('/api/sets').then((list) => put(known, list.map((s) => el('option', {value: s.name}, s.summary))), () => {})
    if (waits()) dropped()
    else if (f.data) read()
    if (f.model) pickModel(f.model)
  }

  async function clone(id) {
    const run = await get(`/api/runs/${id}`)
    if (!run.settings) return restart(run.command)
    const read_ = run.reading?.reading ?? {}, plain = {kind: 'auto', scale: 'auto', size: null, channels: null, label: '', time: '', columns: [], observed: [], group_by: '', train_until: '', split: null, strict: false, tokenizer: '', window: 0, period: 0}
    f.options = Object.fromEntries(run.settings.filter((s) => s.differs).map((s) => [flag(s), text(s.value)]))
    const changed = Object.entries(read_).filter(([n, v]) => n in plain && JSON.stringify(v) !== JSON.stringify(plain[n]))
    if (!run.reading?.set) for (const [n, v] of changed) f.options[n.replaceAll('_', '-')] = n === 'size' ? v.join('x') : text(v)
    else { // what a named set says of itself is no choice of the run's
      const said = await post('/api/command', {command: run.command}).catch(() => null)
      if (said?.ok) Object.assign(f.options, Object.fromEntries(Object.entries(said.options).filter(([n]) => READING.includes(n))))
    }
    if (run.budget.epochs) f.options.epochs = String(run.budget.epochs)
    else if (run.budget.steps) f.options.steps = String(run.budget.steps)
    if (run.runtime.seed) f.options.seed = String(run.runtime.seed)
    f.model = run.model
    f.data = {run: id}
    f.name = run.reading?.name ?? ''
    f.clone = true
    keep()
  }

  // What a start that came to nothing was asked with: there is only its command.
  async function restart(line) {
    const said = await post('/api/command', {command: line})
    if (!said.ok) throw new Error(Object.values(said.errors)[0])
    Object.assign(f, {options: said.options, model: said.model, data: said.data.upload ? {upload: said.data.upload} : said.data.set ? {set: said.data.set} : null, name: said.data.name ?? said.data.set ?? ''})
    if (said.note) toast(said.note)
    keep()
  }

  begin().catch((error) => put(told, el('p', {class: 'said-bad', role: 'alert'}, error.message)))
  node.addEventListener('keydown', (e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) startPart.querySelector('#start:not(:disabled)')?.click() })
  return {node, dropped, close: () => { closed = true; clearTimeout(trying); sending?.abort(); looking?.abort() }}
}
