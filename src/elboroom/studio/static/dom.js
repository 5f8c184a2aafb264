// Elements made from plain values. Text becomes text nodes, never markup: what comes from data can do nothing here.

const SVG = 'http://www.w3.org/2000/svg'
const OWN = {class: 'className', for: 'htmlFor'}

export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children)
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children)
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else if (name === 'style') Object.assign(node.style, value)
    else if (['value', 'checked', 'indeterminate', 'disabled', 'hidden', 'selected'].includes(name)) node[name] = value
    else if (OWN[name] && !(node instanceof SVGElement)) node[OWN[name]] = value
    else node.setAttribute(name, value === true ? '' : value)
  }
  node.append(...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false))
  return node
}

// Replaces what a node holds; the keyboard's place is kept where the same id is there again.
export function put(node, ...children) {
  const held = document.activeElement, id = node.contains(held) ? held.id : ''
  node.replaceChildren(...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false))
  if (id) document.getElementById(id)?.focus({preventScroll: true})
  return node
}

// Draws what a node holds only where what it is made of has changed, so that neither a press nor the keyboard's place is lost.
export function held(node, made, draw) {
  const text = JSON.stringify(made)
  if (node.madeOf === text) return node
  node.madeOf = text
  return put(node, draw())
}

export const text = (node, words) => { if (node.textContent !== words) node.textContent = words }

// A name from data: isolated, cut at 60 characters with the whole in a tooltip, control characters drawn.
export function named(text, limit = 60) {
  const shown = [...String(text)].map((c) => c === '\n' ? '↵' : c < ' ' ? String.fromCodePoint(0x2400 + c.charCodeAt(0)) : c)
  const cut = shown.length > limit
  return el('bdi', {translate: 'no', title: cut ? String(text) : null}, shown.slice(0, limit).join('') + (cut ? '…' : ''))
}

export function say(text) {
  document.getElementById('said').textContent = text
}

export const button = (text, onclick, more = {}, ...rest) => el('button', {type: 'button', ...more, onclick}, text, rest)
export const kbd = (key) => el('kbd', {'aria-hidden': 'true'}, key)

// A link inside the studio; with Ctrl or ⌘ it opens a tab of its own, as any link does.
export const link = (href, more, ...children) => el('a', {href, 'data-inside': '', ...more}, ...children)
