// What `elboroom data` said of data, as pages show it: what they are, their columns, and what is wrong with them.

import {el, named, button} from './dom.js'
import {written, count} from './numbers.js'
import {spark} from './chart.js'

const SEEN = 25, SHOWN = 8 // columns, problems
const FEW = 50, FEW_HELD = 10, NAMES = [2, 20] // examples in all, held out; names of a column that may be a label
export const SAID = {images: 'pictures', table: 'a table', series: 'a time series', sequences: 'sequences', text: 'text', documents: 'documents'}
const ONE = {images: 'picture', series: 'window', sequences: 'sequence', text: 'window', documents: 'document'}
const whole = (n) => written(n, null, null, {form: 'count'})

// What a column can be used as, and what that means.
export const ROLES = {
  used: ['used', 'the model learns it'],
  out: ['left out', 'it is not read'],
  label: ['label', 'the class of a row: models are not asked to make it, maps are coloured by it'],
  time: ['time', 'it says when a row was measured, and puts the rows in order'],
  group: ['group', 'rows of one group stay together, all learnt from or all held out'],
}

function shape({spec, series}) {
  const s = spec.shape
  if (spec.kind === 'images') return `${s[2]} × ${s[1]} pixels, ${s[0] === 1 ? 'grey' : 'colour'}`
  if (spec.kind === 'series') return `${series?.rows ? `${count(series.rows, 'row')} of ` : ''}${count(s[1], 'column')}${series?.step_words ? `, one every ${series.step_words}` : ''}; windows of ${count(s[0], 'row')}`
  if (spec.kind === 'sequences') return `up to ${count(s[0], 'step')} of ${spec.levels ? 'tokens' : count(s[1], 'column')}`
  if (spec.kind === 'text') return `windows of ${count(s[0], 'token')}`
  return spec.kind === 'table' ? count(s[0], 'column') : s.join(' × ')
}

function parts({spec, counts}) {
  const one = ONE[spec.kind] ?? 'row', said = {train: 'training', valid: 'validation', test: 'test'}
  return Object.entries(counts ?? {}).filter(([, n]) => n).map(([part, n], i) => i ? `${whole(n)} ${said[part] ?? part}` : count(n, `${said[part] ?? part} ${one}`)).join(', ')
}

// A sentence where there is too little to make anything of; of a series rows are counted, else examples.
export function tooFew({spec, counts, series}) {
  const n = counts ?? {}, held = (n.valid ?? 0) + (n.test ?? 0), all = series?.rows ?? (n.train ?? 0) + held, one = series?.rows ? 'row' : ONE[spec.kind] ?? 'row'
  const some = (n, word) => `${count(n, word)} ${n === 1 ? 'is' : 'are'} too few`
  if (!counts) return ''
  return all < FEW ? `${some(all, one)} to learn or to judge from.` : held < FEW_HELD && !series?.rows ? `${some(held, `held-out ${one}`)} to judge from.` : ''
}

// The last column of words that has few of them and so may be a label; null where there is none or one is chosen.
export function likelyLabel({spec, reading}) {
  if (spec.kind !== 'table' || reading?.label) return null
  const words = (spec.columns ?? []).filter((c) => c.kind === 'categorical' && c.categories.some((name) => Number.isNaN(Number(name)))), last = words.at(-1)
  return last && last.categories.length >= NAMES[0] && last.categories.length <= NAMES[1] ? last : null
}

// `role` draws what a column is used as where that can be changed, and `label` makes a column the label.
export function reading(found, role = null, label = null) {
  const {spec} = found, kinds = new Map((spec.columns ?? []).map((c) => [c.name, c.kind])), time = found.reading?.time || found.series?.time, group = found.reading?.group_by
  const as = (name) => kinds.get(name) ?? (name === found.reading?.label ? 'label' : name === time ? 'time' : name === group ? 'group' : 'left out')
  const seen = found.columns ?? (spec.columns ?? []).map((c) => ({name: c.name, range: (c.categories ?? []).slice(0, 4).join(', '), missing: null, curve: []}))
  const rows = seen.slice(0, SEEN).map((c) => el('tr', {}, el('th', {class: 'code', scope: 'row'}, named(c.name, 30)), role ? el('td', {}, role(c.name)) : null, el('td', {}, as(c.name)),
    el('td', {}, named(c.range ?? '', 40)), el('td', {class: c.missing ? 'warn' : 'note'}, c.missing === null ? '' : c.missing ? count(c.missing, 'cell') : 'none'), el('td', {}, spark((c.curve ?? []).map((v, i) => [i, v])))))
  const first = seen.find((c) => c.rows), said = [seen.length > SEEN ? `${SEEN} of ${seen.length} columns` : '', first ? `missing and range of the first ${whole(first.rows)} rows` : ''].filter(Boolean)
  const few = tooFew(found), likely = label ? likelyLabel(found) : null, problems = [...few ? [few] : [], ...found.problems ?? []]
  return el('div', {}, el('p', {}, el('b', {}, named(found.name)), ` is read as ${SAID[spec.kind] ?? spec.kind}: ${shape(found)}; ${parts(found)}.`),
    el('p', {class: 'note'}, `Parts: ${found.split?.how ?? 'as they came'}. Fingerprint `, el('code', {}, (found.fingerprint ?? '').slice(0, 16)), '.'),
    spec.classes?.length ? el('p', {class: 'soft'}, `${count(spec.classes.length, 'class', 'classes')}: `, spec.classes.slice(0, 12).flatMap((c, i) => [i ? ', ' : '', named(c, 20)]), spec.classes.length > 12 ? ' …' : '') : null,
    rows.length ? el('div', {class: 'scroll'}, el('table', {class: 'columns'}, el('thead', {}, el('tr', {}, ['Column', ...role ? ['Use as'] : [], 'Read as', 'Range', 'Missing', 'All rows'].map((t) => el('th', {scope: 'col'}, t)))), el('tbody', {}, rows))) : null,
    said.length ? el('p', {class: 'note'}, said.join('; ')) : null,
    role ? el('p', {class: 'note', id: 'roles'}, role.open.map((r, i) => [i ? '; ' : '', el('b', {}, ROLES[r][0]), `: ${ROLES[r][1]}`]), '.') : null,
    likely ? el('p', {}, button([named(likely.name, 30), ` has ${likely.categories.length} names: a label?`], () => label(likely.name), {class: 'link', id: 'likely-label'})) : null,
    problems.slice(0, SHOWN).map((p) => el('p', {class: 'said-warn'}, '△ ', named(p, 300))), problems.length > SHOWN ? el('p', {class: 'note'}, `and ${problems.length - SHOWN} others; elboroom data lists all`) : null)
}
