// A prompt and how it goes on: tokens as they come, what could have come in place of each, where the heads looked.

import {el, svg, put, named, say, button, kbd} from './dom.js'
import {written, took, count} from './numbers.js'

// Name, label, default, the slider's ends and step; the field beside it takes what the command line takes.
const SETTINGS = [['temperature', 'Temperature', 1, 0, 2, 0.05], ['top_k', 'Top-k', 0, 0, 100, 1], ['top_p', 'Top-p', 1, 0.05, 1, 0.01], ['min_p', 'Min-p', 0, 0, 0.5, 0.01],
  ['repetition_penalty', 'Repetition penalty', 1, 1, 2, 0.05], ['tokens', 'Tokens', 100, 1, 500, 1], ['seed', 'Seed', 0]]
const MARKS = {' ': '␣', '\n': '↵', '\t': '⇥'}, LEVELS = 9, HELD = 8, TOP = 5, END = '⟨end⟩'
const ENDED = {stop: 'the text came to its end', length: 'as many as asked for', stopped: 'stopped', left: 'given up for another text'}, CALM_MS = 2000

const whole = (v) => written(v, null, null, {form: 'count'}), one = (v) => written(v, null, null, {decimals: 1})
const share = (p) => p > 0 ? written(p, null, null, {form: 'share', decimals: 1}) : '0'
const drawn = (text) => text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, (c) => String.fromCodePoint(c === '\x7f' ? 0x2421 : 0x2400 + c.charCodeAt(0))) // control characters as their symbols
const plain = (name) => drawn(name.replace(/[ \n\t]/g, (c) => MARKS[c]))
const shown = (name) => el('span', {class: 'code'}, named(plain(name), 24))
const bytes = (packed) => Uint8Array.from(atob(packed.bytes), (c) => c.charCodeAt(0))
const level = (v) => v > 0 ? Math.min(LEVELS, 1 + Math.ceil(8 * v)) : 1
const part = (...children) => el('section', {class: 'part'}, children)
const title = (text, note) => el('h2', {}, text, note ? el('span', {class: 'note'}, note) : null)
const note = (...children) => el('p', {class: 'note'}, children)
const cell = (css, ...children) => el('td', {class: css}, children)
const small = (text, onclick, more, ...rest) => button(text, onclick, {class: 'link', ...more}, ...rest)

export async function open(body, {id, query, run, ask, stream, remember}) {
  const about = await ask('words/about', {}), store = `prompt-${id}`, kept = JSON.parse(sessionStorage.getItem(store) ?? '{}')
  const wrong = (name, text) => { // why a setting cannot be this; '' where it can
    const {whole: only, least, above, most, for: use} = about.limits[name], v = Number(text), no = (why) => `${why} (${use})`
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text.trim())) return text.trim() ? no(`${text.trim().slice(0, 20)} is no number${text.includes(',') ? '; decimals stand after a point' : ''}`) : no('a number is missing')
    if (only && !Number.isInteger(v)) return no(`${text.trim()} is no whole number`)
    return v < least ? no(`must be at least ${whole(least)}`) : v <= above ? no(`must be above ${whole(above)}`) : v > most ? no(`must be at most ${whole(most)}`) : ''
  }
  const values = Object.fromEntries(SETTINGS.map(([name, , usual]) => [name, query.has(name) && !wrong(name, query.get(name)) ? Number(query.get(name)) : usual])), faults = new Map(), all = about.layers * about.heads
  const shades = ['surprise', ...(all ? ['attention'] : []), 'none']
  let shade = shades.find((s) => s === query.get('shade')) ?? shades[0], layer = Number(query.get('layer')) || null, head = Number(query.get('head')) || null
  // The text that is shown, all of them, the token that is pointed at, others beside it, its row of attention.
  let now = null, texts = [], at = null, also = [], pinned = false, choice = 0, row = null, busy = null, told = {}, waiting = 0, settling = 0, calm = 0, touched = false

  // ---- the frame ----
  const prompt = el('textarea', {id: 'prompt', rows: 3, 'aria-label': 'prompt', translate: 'no', spellcheck: 'false', value: kept.prompt ?? about.prompt, placeholder: 'A text to go on from; empty begins a new one', oninput: () => drawCommand()})
  const broke = el('i', {class: 'edge bad'}, '× the text broke off here')
  const spans = el('div', {class: 'spans', tabindex: 0, role: 'group', 'aria-label': 'the text, token by token', translate: 'no', hidden: true}), edge = el('i', {class: 'edge'}, 'the model no longer sees what is before this line')
  const [foot, key, maps, looked, could, list, command] = ['foot', 'note shades', 'maps', 'looked part', 'part', 'part', 'part'].map((css) => el('div', {class: css})), bars = el('figure', {class: 'chart part'}), seg = el('div', {class: 'seg', role: 'group', 'aria-label': 'shade'})
  const looks = all ? el('div', {class: 'looks'}, part(title('Heads', `rows: layer 1 to ${about.layers}; columns: head 1 to ${about.heads}`), el('div', {class: 'scroll'}, maps)), looked) : el('p', {class: 'note part'}, `${run().model} cannot show attention.`)
  put(body, el('div', {class: 'live prompt'}, el('div', {}, el('div', {class: 'head'}, el('span', {class: 'note'}, `${count(about.vocabulary, 'token')} (${about.tokenizer}), ${about.context ? `${whole(about.context)} seen at most` : 'read on without end'}`), el('div', {class: 'end'}, seg)), el('div', {class: 'paper'}, prompt, spans, foot), key, bars,
    looks, command), el('div', {}, could, settings(), list)))

  function settings() {
    const resets = []
    return part(title('Settings'), SETTINGS.map(([name, label, usual, low, high, step]) => {
      const set = (value) => {
        values[name] = Number(value)
        remember({[name]: values[name] === usual ? '' : String(values[name])})
        for (const other of [slide, field]) if (other && Number(other.value) !== values[name]) other.value = value
        for (const token of now?.tokens.slice(0, now.from) ?? []) if (!token.drawn) delete token.likeliest
        if (at < now?.from) point(at)
        drawCommand()
      }
      const bad = el('p', {class: 'said-bad', id: `bad-${name}`, role: 'alert', style: {gridColumn: '1/-1'}, hidden: true})
      // A field is read as it is typed in; it says what is wrong once it is left, or when a text is asked for.
      const typed = (left) => {
        const why = wrong(name, field.value), fault = {tell: () => { field.setAttribute('aria-invalid', 'true'); bad.hidden = false; put(bad, `× ${label}: ${why}`) }, field}
        if (why) {
          faults.set(name, fault)
          if (left) fault.tell()
          return
        }
        faults.delete(name)
        field.removeAttribute('aria-invalid')
        bad.hidden = true
        if (Number(field.value) !== values[name]) set(field.value)
      }
      const slide = high ? el('input', {type: 'range', min: low, max: high, step, value: values[name], 'aria-label': `${label}, slider`, oninput: () => { field.value = slide.value; typed(true) }}) : null
      const field = el('input', {id: `set-${name}`, inputmode: 'decimal', value: values[name], 'aria-describedby': `bad-${name}`, oninput: () => typed(false), onchange: () => typed(true)})
      resets.push(() => { field.value = usual; typed(true) })
      return el('div', {class: 'set'}, el('label', {for: `set-${name}`}, label), slide ?? el('i'), field, bad)
    }), note('Same prompt, seed and settings give the same text. Temperature 0 is greedy, top-k 0 keeps all. ', small("Back to the model's own law", () => resets.slice(0, 5).forEach((reset) => reset()))))
  }

  // ---- writing ----
  const ids = (tokens) => tokens.map((t) => t.id)
  const law = () => Object.fromEntries(SETTINGS.slice(0, 5).map(([name]) => [name, values[name]]))

  // A text is what it goes on from, the settings, and its tokens; `known` are tokens that were shown before.
  async function write(text, known = []) {
    leave()
    const mine = busy = new AbortController(), begun = performance.now(), {settings: asked} = text, before = ['stopped', 'left'].includes(text.reason) ? text.reason : ''
    if (!texts.includes(text)) texts = [...texts, text].slice(-HELD)
    show(Object.assign(text, {tokens: [], broken: '', reason: ''}))
    try {
      await stream('words/generate', {...asked, ...(text.ids ? {ids: text.ids} : {prompt: text.prompt})}, (found) => {
        if (mine !== busy) return
        told.waits = Boolean(found.waits)
        if (found.waits) waiting ||= setTimeout(() => { waiting = 0; drawFoot() }, 250)
        else if (found.start) {
          const {tokens, repeatable, prompt: read} = found.start
          Object.assign(text, {from: tokens.length, given: text.given ?? tokens.length, prompt: text.prompt ?? read, same: repeatable && !text.taken})
          tokens.forEach((t, i) => add(known[i]?.id === t.id ? {...t, ...known[i], piece: t.piece} : t))
        } else if (found.token) {
          told.first ??= performance.now() - begun
          add({...found.token, drawn: true})
          told.n = text.tokens.length - text.from
          told.rate = (told.n - 1) / (performance.now() - begun - told.first) * 1e3
          waiting ||= setTimeout(() => { waiting = 0; drawFoot(); drawBars(); paint() }, 250)
        } else if (found.done) Object.assign(text, {reason: before || found.done.reason, rest: found.done.rest}) // written anew up to where it was left
      }, mine.signal)
    } catch (error) { if (!mine.signal.aborted) text.broken = error.message }
    if (mine !== busy) return
    busy = null
    calm = performance.now() + CALM_MS
    if (!text.broken) text.reason ||= 'stopped'
    if (!text.tokens.length) edit()
    else if (at === null) point(Math.min(text.from, text.tokens.length - 1))
    save()
    draw()
    say(text.broken || `${count(told.n ?? 0, 'token')}, ${ENDED[text.reason]}`)
  }

  // A text that is still being written is given up for another one.
  function leave() {
    if (!busy) return
    busy.abort()
    busy = null
    now.reason = 'left'
    calm = performance.now() + CALM_MS
  }

  function add(token) {
    const i = now.tokens.push(token) - 1, {name, piece} = token, faint = (text) => el('i', {}, text)
    spans.append(el('span', {'data-i': i, title: piece || i === 0 ? null : `${name}, part of a character`}, piece === '\n' ? [faint('↵'), piece] : drawn(piece) || faint(name === END ? END : i ? '·' : plain(name))))
  }

  function show(text) {
    now = text
    at = row = null
    also = []
    pinned = false
    told = {}
    prompt.value = text.prompt ?? prompt.value
    put(spans)
    spans.hidden = false
    prompt.hidden = true
    draw()
  }
  function edit() {
    busy?.abort()
    spans.hidden = true
    prompt.hidden = false
    prompt.focus()
    draw()
  }
  const ready = () => { // false where a setting is wrong, which is then said
    const [first] = faults.values()
    for (const fault of faults.values()) fault.tell()
    first?.field.focus()
    return !first
  }
  const generate = () => ready() && write(!spans.hidden && now?.ids ? {...now, reason: '', settings: {...values}} : {prompt: prompt.value, settings: {...values}}, now?.tokens)
  const further = () => ready() && write({ids: ids(now.tokens), prompt: now.prompt, given: now.given, taken: now.taken ?? [], settings: {...values}}, now.tokens)
  // Goes on from another token; the text as it was stays in the list.
  function instead(i, [token, name, p, q]) {
    if (!ready()) return
    const before = now.tokens.slice(0, i)
    write({ids: [...ids(before), token], prompt: now.prompt, given: Math.min(now.given, i), taken: [...(now.taken ?? []).filter((k) => k < i), i], label: name, settings: {...values}}, [...before, {...now.tokens[i], id: token, name, p, q, bits: -Math.log2(p)}])
  }
  function back(text) {
    leave()
    const {tokens} = text
    if (tokens && !tokens.length) text.reason = '' // nothing of it was written
    if (!tokens?.length) return void write(text)
    show(Object.assign(text, {tokens: []}))
    tokens.forEach(add)
    point(Math.min(text.from, tokens.length - 1))
    save()
    draw()
  }
  function save() {
    const recipes = texts.map(({tokens, ...text}) => ({...text, reason: tokens && !(tokens.length > text.from) ? '' : text.reason, settings: {...text.settings, tokens: tokens?.length - text.from || text.settings.tokens}}))
    try { sessionStorage.setItem(store, JSON.stringify({prompt: prompt.value, at: texts.indexOf(now), texts: recipes})) } catch { /* a full store keeps what it had */ }
  }
  function download() {
    const href = URL.createObjectURL(new Blob([now.tokens.map((t) => t.piece).join('') + (now.rest ?? '')]))
    el('a', {href, download: `${run().name.replaceAll('/', '-')}.txt`}).click()
    setTimeout(() => URL.revokeObjectURL(href), 1000)
  }

  // ---- drawing ----
  function draw() {
    looks.hidden = all > 0 && !now
    drawFoot()
    drawBars()
    drawCommand()
    paint()
    put(seg, shades.map((s) => button(s, () => {
      shade = s
      remember({shade: s})
      draw()
    }, {'aria-pressed': String(s === shade), id: `shade-${s}`})))
    const line = (text, k) => el('li', {}, small('', () => text === now && !spans.hidden ? null : back(text), {id: `text-${k}`, 'aria-current': text === now && !spans.hidden ? 'true' : null}, named(text.label ? `… ${plain(text.label)}` : text.prompt?.slice(-30) || 'a new text')),
      note(`${text.taken?.length ? `token ${whole(text.taken.at(-1) + 1)} exchanged` : `seed ${text.settings.seed}`}${text.reason === 'left' ? ', given up' : ''}${text === now && !spans.hidden ? ', shown' : ''}`))
    put(list, texts.length > 1 ? [title('Texts so far'), el('ul', {class: 'list-of'}, texts.map(line))] : null)
  }

  function drawFoot() {
    const n = told.n ?? Math.max(0, (now?.tokens?.length ?? 0) - (now?.from ?? 0)), first = told.first ? `first token after ${took(told.first / 1e3)}` : told.waits ? 'waits for the text of another page' : '', go = () => button('Go on from here', further)
    const state = busy ? [el('span', {class: 'state accent'}, `◔ ${whole(n)} of ${count(now.settings.tokens, 'token')}`), el('span', {class: 'note'}, first ? `${n > 1 ? `${whole(Math.round(told.rate))} tokens a second, ` : ''}${first}` : 'reading the prompt')]
      : now?.broken ? [el('span', {class: 'bad', role: 'alert'}, `× ${now.broken}`), now.tokens.length ? go() : null]
        : spans.hidden || !now ? null : [el('span', {}, `${['stopped', 'left'].includes(now.reason) ? '□' : '✓'} ${count(n, 'token')}, ${ENDED[now.reason] ?? ''}`), el('span', {class: 'note'}, first), now.reason === 'stop' ? null : go()]
    put(foot, busy ? button('Stop', () => busy.abort(), {class: 'main', id: 'stop-writing'}, kbd('Esc')) : button('Generate', generate, {class: 'main', id: 'generate'}, kbd('Ctrl Enter')), state,
      spans.hidden ? null : el('span', {class: 'end'}, small('Edit prompt', edit), small('Save text', download), el('span', {class: 'note'}, kbd('←'), kbd('→'), ' token by token; bold: your prompt')))
  }

  // The first token that the model saw when it chose token n: a full window keeps its last half.
  function seenFrom(n) {
    if (!about.context || n <= about.context) return 0
    const half = Math.max(1, about.context >> 1)
    return half * (Math.floor((n - 1 - about.context) / half) + 1)
  }

  function paint() {
    const each = spans.querySelectorAll('[data-i]'), from = seenFrom(at ?? each.length), bits = shade === 'surprise', top = bits ? Math.max(8, ...(now?.tokens ?? []).map((t) => t.bits ?? 0)) : row ? Math.max(1, ...row.weights) : 1
    each.forEach((span, i) => {
      const v = bits ? now.tokens[i].bits / top : shade === 'attention' && row && i >= row.first ? row.weights[i - row.first] / top : 0
      const css = [i < now.given && 'given', now.taken?.includes(i) && 'taken', i < from && 'past', i === at && 'at', also.includes(i) && 'also', level(v) > 1 && `s${level(v)}`].filter(Boolean).join(' ')
      if (span.className !== css) span.className = css
    })
    if (now?.broken && each.length) spans.append(broke)
    else broke.remove()
    if (!from) edge.remove()
    else if (each[from] && edge.nextSibling !== each[from]) spans.insertBefore(edge, each[from])
    put(key, each.length && (bits || row && shade === 'attention') ? ['0 ', Array.from({length: LEVELS}, (_, k) => el('i', {class: `s${k + 1}`})), bits ? ` ${one(top)} bits: surprise of each token, −log₂ of the model's own probability` : ` ${share((top / 255) ** 2)}, root scale: where the model looked to choose the framed token`] : null)
  }

  function drawBars() {
    const tokens = now?.tokens ?? [], known = tokens.filter((t) => t.bits >= 0).map((t) => t.bits), W = Math.max(120, bars.clientWidth - 76), H = 52
    if (!known.length) return void put(bars)
    const top = Math.max(1, ...known), mean = known.reduce((a, b) => a + b, 0) / known.length, w = Math.min(16, W / tokens.length), y = H - mean / top * H, columns = new Map()
    tokens.forEach(({bits = 0}, i) => { const x = w < 1 ? Math.floor(i * w) : i * w; columns.set(x, Math.max(columns.get(x) ?? 0, bits)) })
    const bar = (x, bits) => `M${x.toFixed(1)} ${H}v${(-bits / top * H).toFixed(1)}h${Math.max(0.6, w * 0.86).toFixed(1)}V${H}z`, text = (x, y, words, anchor) => svg('text', {x, y, 'text-anchor': anchor}, words)
    const figure = svg('svg', {height: H + 20, role: 'img', 'aria-label': `mean ${one(mean)} bits a token, at most ${one(top)}`, onclick: (e) => point(Math.max(0, Math.min(tokens.length - 1, Math.floor((e.clientX - figure.getBoundingClientRect().left) / w))), {pin: true})},
      svg('path', {d: [...columns].map((c) => bar(...c)).join(''), fill: 'var(--base)'}), tokens[at]?.bits ? svg('path', {d: bar(at * w, tokens[at].bits), fill: 'var(--accent)'}) : null, svg('path', {d: `M0 ${H}H${W}M0 ${y}H${W}`, stroke: 'var(--edge)'}),
      text(W + 6, 10, `${one(top)} bits`), text(W + 6, Math.max(25, y + 4), `mean ${one(mean)}`), text(0, H + 15, 'token 1'), w * tokens.length > 90 ? text(w * tokens.length, H + 15, whole(tokens.length), 'end') : null)
    put(bars, title('Surprise of each token, bits', 'of the model itself, before temperature and cuts; click a bar to go there'), figure)
  }

  function drawCommand() {
    const quoted = (text) => /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`, flags = SETTINGS.filter(([name, , usual]) => values[name] !== usual).map(([name]) => `--${name.replaceAll('_', '-')} ${values[name]}`)
    const text = ['elboroom generate', run().place ?? quoted(run().name), '--prompt', quoted(spans.hidden ? prompt.value : now.prompt ?? ''), ...flags].join(' '), other = !spans.hidden && now.same === false
    put(command, title('As a command'), other ? note('This text goes on from tokens that were chosen; a command goes on from a text.') : el('div', {class: 'command'}, el('code', {translate: 'no'}, text), small('copy', () => navigator.clipboard?.writeText(text))))
  }

  // ---- one token ----
  function point(i, {pin = false, more = false} = {}) {
    const token = now?.tokens[i]
    if (!token) return
    if (more && at !== null) also = also.includes(i) ? also.filter((k) => k !== i) : [...also, i].slice(-15)
    else [at, also, choice] = [i, [], 0]
    pinned ||= pin
    if (pin) say(`token ${i + 1}, ${plain(token.name)}${token.bits >= 0 ? `, ${one(token.bits)} bits` : ''}`)
    drawCould()
    if (all) look()
    drawBars()
    paint()
  }

  async function drawCould() {
    const mine = now, i = at, token = now.tokens[i], heading = title(`Token ${whole(i + 1)}: what could have come`), old = () => mine !== now || i !== at
    if (!token.likeliest && i) {
      try { Object.assign(token, await ask('words/law', {...law(), ids: ids(mine.tokens.slice(0, i)), taken: token.id}, {latest: 'law'})) } catch (error) { return void (old() || put(could, heading, el('p', {class: 'said-bad'}, `× ${error.message}`))) }
    }
    if (old() || i && !token.likeliest) return
    if (!i) return void put(could, heading, note('The text begins here: nothing was read before it.'))
    const own = token.likeliest.some(([k]) => k === token.id), rows = own ? token.likeliest : [...token.likeliest, [token.id, token.name, token.p, token.q]], top = Math.max(...rows.flatMap((r) => r.slice(2))), used = token.drawn ? mine.settings : values
    const less = ([n, p, q], here) => !own && here ? [n - 1, p - token.p, q - token.q] : [n, p, q], kept_ = less(token.kept, token.q > 0), cut = less(token.cut, !token.q)
    const by = used.temperature ? [used.top_k && 'top-k', used.top_p < 1 && 'top-p', used.min_p && 'min-p'].filter(Boolean).join(', ') : 'temperature 0', rest = ([n, p, q], words) => n > 0 ? el('tr', {class: 'soft'}, el('td', {colspan: 2}, words), cell('num', share(p)), cell('num', share(q))) : null
    choice = Math.min(choice, rows.length - 1)
    put(could, heading, note('Upper bar: the model. Lower bar: after temperature and cuts, what was drawn from. Click one to go on from it.'), el('table', {}, el('thead', {}, el('tr', {}, ['Token', '', 'model', 'drawn from'].map((text, k) => el('th', {scope: 'col', class: k > 1 ? 'num' : ''}, text)))),
      el('tbody', {}, rows.map((r, k) => el('tr', {class: `${r[0] === token.id ? 'ticked' : ''} ${pinned && k === choice ? 'aimed' : ''}`}, cell('', small('', () => instead(i, r), {id: `could-${k}`, title: `token ${r[0]}`}, shown(r[1]))), cell('odds', r.slice(2).map((v) => el('i', {style: {width: `${100 * v / top}%`}}))), cell('num soft', share(r[2])), cell('num', share(r[3])))),
      rest(kept_, `${count(kept_[0], 'other')} kept`), rest(cut, `${whole(cut[0])} cut${by ? ` by ${by}` : ''}`))))
  }

  async function look() {
    const mine = now, i = at, places = [i, ...also].filter((k) => k), who = layer ? `Layer ${layer}, head ${head}` : `Mean of all ${all} heads`
    row = places.length ? row : null
    if (!row && !places.length) return void put(looked, title(who), note('The first token is not chosen by the model.'))
    clearTimeout(settling)
    settling = setTimeout(drawMaps, 150)
    try {
      const found = await ask('words/attention', {ids: ids(mine.tokens.slice(0, Math.max(...places) + 1)), at: places, layer, head}, {latest: 'attention'})
      if (!found?.weights || mine !== now || i !== at) return
      row = {...found, weights: bytes(found.weights)}
    } catch (error) { return void put(looked, title(who), el('p', {class: 'said-bad'}, `× ${error.message}`)) }
    const best = [...row.weights].map((b, k) => [(b / 255) ** 2, row.first + k]).filter(([v]) => v).sort((a, b) => b[0] - a[0]).slice(0, TOP)
    put(looked, title(`${who} looked at`, also.length ? `to choose ${count(places.length, 'token')}, averaged` : `to choose token ${whole(i + 1)}`),
      el('table', {}, el('tbody', {}, best.map(([v, k]) => el('tr', {}, cell('', shown(mine.tokens[k].name)), cell('num soft', also.length ? `token ${whole(k + 1)}` : `${whole(i - k)} back`), cell('odds', el('i', {style: {width: `${100 * v / best[0][0]}%`}})), cell('num', share(v)))),
        row.earlier > 5e-4 ? el('tr', {class: 'soft'}, el('td', {colspan: 3}, `all before token ${whole(row.first + 1)}`), cell('num', share(row.earlier))) : null)),
      note('Shares of one head add up to 100 %. Attention shows where a head looked, not why a token was chosen. Click a head to see it, shift-click further tokens, or walk with shift, for their mean', layer ? ['; ', small(`mean of all ${all}`, () => choose(null, null))] : null, '.'))
    paint()
  }

  function choose(l, h) {
    [layer, head] = [l, h]
    remember({layer: l ?? '', head: h ?? ''})
    if (at !== null) look()
    for (const map of maps.children) map.setAttribute('aria-pressed', String(map.id === `head-${l}-${h}`))
  }

  async function drawMaps() {
    const mine = now, found = at ? await ask('words/maps', {ids: ids(now.tokens.slice(0, at)), at}, {latest: 'maps'}).catch(() => null) : null
    if (!found?.weights || mine !== now) return
    const [L, H, m] = found.weights.shape, weights = bytes(found.weights), style = getComputedStyle(document.documentElement)
    const colors = Array.from({length: LEVELS}, (_, k) => style.getPropertyValue(`--seq${k + 1}`).match(/\w\w/g).map((two) => parseInt(two, 16)))
    maps.style.gridTemplateColumns = `repeat(${H}, auto)`
    if (!maps.firstChild) {
      put(maps, Array.from({length: L * H}, (_, k) => {
        const l = Math.floor(k / H) + 1, h = k % H + 1, label = `layer ${l}, head ${h}`
        return button('', () => l === layer && h === head ? choose(null, null) : choose(l, h), {id: `head-${l}-${h}`, 'aria-label': label, title: label, 'aria-pressed': String(l === layer && h === head)}, el('canvas'))
      }))
    }
    [...maps.children].forEach(({lastChild: canvas}, k) => {
      canvas.width = canvas.height = m
      const image = new ImageData(m, m)
      for (let j = 0; j < m * m; j++) image.data.set([...colors[level(weights[k * m * m + j] / 255) - 1], 255], 4 * j)
      canvas.getContext('2d').putImageData(image, 0, 0)
    })
  }

  // ---- hands ----
  const place = (event) => Number(event.target.closest?.('[data-i]')?.dataset.i ?? -1)
  spans.addEventListener('pointerover', (event) => {
    const i = place(event)
    if (event.pointerType === 'mouse' && !pinned && i >= 0 && i !== at) point(i)
  })
  spans.addEventListener('pointerdown', (event) => { touched = event.pointerType === 'touch' })
  spans.addEventListener('click', (event) => {
    const i = place(event)
    if (i < 0) return
    if (event.shiftKey) point(i, {pin: true, more: true})
    else if (i < now.given && !touched) edit() // a finger has no other way to point
    else if (pinned && i === at) pinned = false
    else point(i, {pin: true})
  })
  const typed = (event) => {
    const go = event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !busy, end = event.key === 'Escape' && busy
    if (!go && !end) return
    event.preventDefault()
    go ? generate() : busy.abort()
  }
  document.addEventListener('keydown', typed, true)
  const step = (by) => ({shiftKey}) => {
    if (spans.hidden || !now.tokens.length) return false
    const tip = shiftKey ? also.at(-1) ?? at : at, next = Math.max(0, Math.min(now.tokens.length - 1, (tip ?? now.from) + by))
    if (!shiftKey || at === null) point(next, {pin: true})
    else if (next !== tip) point(next === at || also.includes(next) ? tip : next, {pin: true, more: true}) // a step back takes one out
    spans.querySelector(shiftKey && also.length ? `[data-i="${also.at(-1)}"]` : '.at')?.scrollIntoView({block: 'nearest'})
  }
  const aim = (by) => {
    if (at === null || !could.querySelector('#could-0')) return false
    pinned = true
    choice = Math.max(0, choice + by)
    drawCould().then(() => could.querySelector(`#could-${choice}`)?.focus())
  }
  const resized = new ResizeObserver(drawBars)
  resized.observe(bars.parentNode)
  const dark = matchMedia('(prefers-color-scheme: dark)')
  dark.addEventListener('change', drawMaps)
  draw()
  put(could, title('What could have come'), note('Generate a text, then point at a token, or walk with ← →.'))
  if (kept.texts?.length) {
    texts = kept.texts
    write(texts[kept.at] ?? texts.at(-1))
  }
  return {
    get keys() {
      const loose = pinned ? () => { pinned = false } : busy || performance.now() < calm ? () => {} : null // Esc meant for a text that has just ended leaves no page
      return {ArrowLeft: step(-1), ArrowRight: step(1), ArrowUp: () => aim(-1), ArrowDown: () => aim(1), ...(loose && {Escape: loose})}
    },
    close: () => {
      busy?.abort()
      clearTimeout(waiting)
      clearTimeout(settling)
      resized.disconnect()
      dark.removeEventListener('change', drawMaps)
      document.removeEventListener('keydown', typed, true)
    },
  }
}
