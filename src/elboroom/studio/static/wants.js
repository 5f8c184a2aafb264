// What models are wanted for: groups and uses, told from the abilities and kinds that a model states.

const has = (m, ...names) => names.every((name) => m.abilities.includes(name))

// Of each the first that fits, so a model stands in one group.
const GROUPS = [
  ['Write on', (m) => has(m, 'continues')],
  ['Forecast, find odd events', (m) => has(m, 'forecasts')],
  ['Name classes', (m) => has(m, 'classifies')],
  ['Find groups, draw a map, make new ones', (m) => has(m, 'samples', 'encodes')],
  ['Make new ones like mine', (m) => has(m, 'samples')],
  ['Fill missing cells', (m) => has(m, 'imputes')],
  ['Find groups, draw a map', (m) => has(m, 'encodes')],
  ['Other', () => true],
]

// What each can be put to, in a reader's words; some of it with data of one kind only.
const USES = [
  ['writes on', (m) => has(m, 'continues')],
  ['shows where it looks', (m) => has(m, 'attends') || has(m, 'looks')],
  ['forecasts', (m) => has(m, 'forecasts')],
  ['finds odd events', (m) => has(m, 'forecasts')],
  ['names classes', (m) => has(m, 'classifies')],
  ['draws a map in which like lies by like', (m) => has(m, 'encodes')],
  ['makes new ones', (m) => has(m, 'samples')],
  ['fills missing cells', (m, kind) => has(m, 'imputes') && (kind ? kind === 'table' : m.kinds.includes('table'))],
  ['cleans noisy ones', (m) => has(m, 'denoises')],
  ['says how likely each one is', (m) => has(m, 'bounds')],
]

export const uses = (m, kind = '') => USES.filter(([, fits]) => fits(m, kind)).map(([text]) => text)

// [[what for, models]], the group of `first` in front.
export function grouped(models, first = '') {
  const held = new Map(GROUPS.map(([text]) => [text, []]))
  for (const m of models) held.get(GROUPS.find(([, fits]) => fits(m))[0]).push(m)
  for (const list of held.values()) list.sort((a, b) => Number(b.name === first) - Number(a.name === first))
  const lead = (list) => Number(list.some((m) => m.name === first))
  return [...held].filter(([, list]) => list.length).sort((a, b) => lead(b[1]) - lead(a[1]))
}

const FIRST = {images: 'vae', table: 'vae', series: 'forecaster', sequences: 'classifier', text: 'gpt', documents: 'vae'}

// The one to start with: of its kind the one that can be put to most and takes any columns, missing cells and names too.
export function toStartWith(kind, models) {
  const fits = models.filter((m) => m.kinds.includes(kind))
  return (fits.find((m) => m.name === FIRST[kind]) ?? fits[0])?.name ?? ''
}
