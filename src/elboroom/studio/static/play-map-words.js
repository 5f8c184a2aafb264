// What is said under the code map: how many codes are drawn, where they stand, how far that can be trusted.

import {written, count} from './numbers.js'
import {PLAIN} from './play-points.js'

const n_ = (n) => written(n, null, null, {form: 'count'})
const axes = (map) => map.axes.slice(0, map.dimensions).map((d) => d + 1)

// Choices of a position, by the name of each.
export const POSITIONS = {
  codes: (map) => map.width > map.dimensions ? `the code’s ${map.dimensions} widest numbers` : 'the code',
  pca: () => 'PCA',
  tsne: () => 't-SNE',
}

function position(map) {
  if (map.method === 'tsne') return `Position: t-SNE of ${map.narrow < map.width ? `the first ${map.narrow} principal axes of ${map.width} numbers` : `${map.width} numbers`} (perplexity ${written(Number(map.perplexity.toFixed(1)))}), fitted on ${n_(map.fitted)}${map.fitted < map.n ? ` random items, the others at the mean of the ${map.around} nearest of those` : ' items'}; distances between far clusters mean nothing`
  if (map.method === 'pca') return `Position: the first ${map.dimensions} principal axes of ${map.width} numbers, fitted on ${n_(map.fitted)} random items; they hold ${written(map.explained.reduce((a, b) => a + b, 0), null, null, {form: 'share', decimals: 0})} of the variance`
  if (map.width > map.dimensions) return `Position: numbers ${axes(map).join(map.dimensions > 2 ? ', ' : ' and ')} of the code’s ${map.width}, those that vary most`
  return map.width === 1 ? 'Across: the code, a single number; upwards: nothing, points are spread at random' : `Position: the code itself, ${map.width} numbers`
}

const value = (t) => written(t.value, t.low, t.high)

export function caption(map, {end, plain, fps, budget, n, clusters}) {
  const all = n_(map.n), pieces = [map.n < map.of ? `${all} of ${n_(map.of)} codes, drawn at random` : `All ${all} codes are drawn, none left out`], t = end?.trust, beside = end?.beside
  if (plain) pieces.push(`${plain}: of them ${n_(Math.min(PLAIN, map.n))} random ones are seen, on a plain canvas`)
  else if (fps) pieces.push(`${Math.round(fps)} frames a second${budget < n ? `, with ${n_(Math.round(budget))} random points while it moves` : ''}`)
  const trust = t ? ` Trustworthiness ${value(t)}${beside ? `, ${beside.method === 'pca' ? 'PCA' : 't-SNE'} ${value(beside)}` : ''}: how far ${t.neighbours} neighbours on the map are neighbours in the code, on ${n_(t.n)} random items; 1 is best.` : ''
  const cut = clusters ? ` Colour: ${count(clusters.names.length, 'cluster')} of k-means in the code, fitted on ${clusters.fitted < map.n ? `${n_(clusters.fitted)} random` : `all ${n_(clusters.fitted)}`} items, the largest first; they cut the codes and say nothing about whether there are groups.` : ''
  return `${pieces.join('; ')}. ${position(map)}.${trust}${cut}`
}
