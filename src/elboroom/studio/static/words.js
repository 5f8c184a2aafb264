// Words that several pages share: states with their glyphs, names of logged terms, whether a smaller value is better.

import {el} from './dom.js'
import {written, count, took, left, when} from './numbers.js'

export const STATES = {
  running: ['◔', 'accent'], starting: ['◌', 'accent'], done: ['✓', 'good'], stopped: ['□', 'warn'], failed: ['×', 'bad'],
  unreadable: ['×', 'bad'], stopping: ['◔', 'accent'], waiting: ['◌', ''],
}

export function state(name) {
  const [glyph, color] = STATES[name] ?? ['', '']
  return el('span', {class: `state ${color}`}, `${glyph} `, el('span', {class: name === 'done' ? 'ink' : ''}, name))
}

const TERMS = {
  loss_nats: 'Loss, nats', elbo_nats: 'ELBO, nats', rate_nats: 'Rate, nats', distortion_nats: 'Distortion, nats',
  reconstruction_bce: 'Cross-entropy a value, nats', reconstruction_mse: 'Squared error a value', gradient_norm: 'Gradient norm',
  loss_nats_per_token: 'Loss, nats a token', bits_per_dim: 'Bits per dimension', bits_per_byte: 'Bits per byte',
  accuracy: 'Right, share', frechet_distance: 'Fréchet distance', score_real: 'Score of real examples', score_made: 'Score of made examples',
  ranked: 'Pairs ranked rightly, share', coverage: 'Coverage', density: 'Density',
}

export function term(name) {
  const [who, what] = name.includes('.') ? name.split(/\.(.*)/) : ['', name]
  const text = TERMS[what] ?? what.replaceAll('_', ' ').replace(/^./, (c) => c.toUpperCase())
  return who ? `${who.replace(/^./, (c) => c.toUpperCase())}: ${text.replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase())}` : text
}

export const isMore = (name) => /elbo|accuracy|likelihood|coverage|density|precision|recall|ranked/.test(name)

export function progress(run) {
  const share = run.steps ? Math.min(1, (run.step ?? 0) / run.steps) : 0
  if (run.state === 'done') return {text: run.took_s ? `${took(run.took_s)} in all` : 'done', share: 1}
  if (run.epochs && run.epoch !== undefined && run.epoch !== null) return {text: `${written(Number(run.epoch.toFixed(1)))} of ${written(run.epochs)} epochs`, share}
  if (run.steps) return {text: `${written(run.step ?? 0, null, null, {form: 'count'})} of ${count(run.steps, 'step')}`, share}
  return {text: '', share}
}

// Seconds left by the rate of the whole run and by that of its last minute; nothing before 10 s and 20 steps.
function leftBy(run, recent) {
  if (run.state !== 'running' || !run.steps || !run.time_s || run.time_s < 10 || run.step < 20) return []
  return [run.step / run.time_s, recent].filter((r) => r > 0).map((r) => (run.steps - run.step) / r)
}

export function remaining(run, recent) {
  const seconds = leftBy(run, recent)
  return !seconds.length ? '' : run.step >= 0.98 * run.steps ? 'finishing' : left(seconds)
}

// "14:43" today, else with its day.
export function ending(run, recent) {
  const seconds = leftBy(run, recent)
  if (!seconds.length || run.step >= 0.98 * run.steps) return ''
  const at = new Date(Date.now() + 1000 * seconds.reduce((a, b) => a + b) / seconds.length), day = when(at), clock = [at.getHours(), at.getMinutes()].map((n) => String(n).padStart(2, '0')).join(':')
  return day.includes(':') ? day : `${day}, ${clock}`
}
