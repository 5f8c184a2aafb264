// What a page gives to keep: rows as CSV, a drawing as SVG that stands alone.

const DRAWN = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-opacity', 'stroke-linejoin', 'stroke-dasharray', 'opacity', 'font-family', 'font-size', 'font-weight', 'text-anchor', 'paint-order', 'visibility']

export function save(name, content, type) {
  const a = document.createElement('a'), url = URL.createObjectURL(new Blob([content], {type}))
  a.href = url
  a.download = name.replace(/[^\p{L}\p{N}._ -]+/gu, '-').slice(0, 120)
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 10000)
}

// Text that a spreadsheet would run as a formula gets a quote in front, as in every table that elboroom writes.
function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return ''
  const text = String(value), safe = typeof value !== 'number' && /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text)) ? `'${text}` : text
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export const csv = (rows) => rows.map((row) => row.map(cell).join(',') + '\n').join('')

// A copy with the colours and letters it has on the page, which come from style sheets there.
export function drawing(node) {
  const copy = node.cloneNode(true), box = node.viewBox.baseVal, from = [node, ...node.querySelectorAll('*')], to = [copy, ...copy.querySelectorAll('*')]
  from.forEach((one, i) => {
    const style = getComputedStyle(one)
    for (const name of ['class', 'style']) to[i].removeAttribute(name)
    for (const name of DRAWN) to[i].setAttribute(name, style.getPropertyValue(name))
  })
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  copy.setAttribute('width', box.width)
  copy.setAttribute('height', box.height)
  copy.removeAttribute('tabindex')
  return new XMLSerializer().serializeToString(copy)
}
