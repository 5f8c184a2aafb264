// The one event stream of this tab. It comes back after 1, 2, 4, 8, then every 10 s, from the byte where it was; a hidden
// tab lets go after 30 s. Three missed beats, and the page says that nothing is known of now.

const WAITS = [1, 2, 4, 8, 10], MISSED_S = 12, HIDDEN_S = 30
const KINDS = ['runs', 'rows', 'run', 'anew', 'gone']

let source = null, asked = null, offset = 0, heard = Date.now(), failures = 0, nextAt = 0, hiddenSince = 0, handlers = {}

// {list: bool, run: id, offset} and a function for each kind of event.
export function listen(wanted, functions) {
  const same = asked && asked.list === wanted.list && asked.run === wanted.run && wanted.offset === undefined
  handlers = functions
  if (same && source) return
  asked = {list: wanted.list, run: wanted.run}
  offset = wanted.offset ?? 0
  open()
}

export function silence() {
  source?.close()
  source = null
  asked = null
}

function open() {
  source?.close()
  heard = Date.now()
  const query = new URLSearchParams({offset})
  if (asked.list) query.set('list', '1')
  if (asked.run) query.set('run', asked.run)
  const mine = source = new EventSource(`/api/events?${query}`)
  const alive = (event) => {
    heard = Date.now()
    failures = 0
    if (event.lastEventId) offset = Number(event.lastEventId)
    show()
  }
  mine.addEventListener('beat', alive)
  for (const kind of KINDS) {
    mine.addEventListener(kind, (event) => {
      alive(event)
      if (mine === source) handlers[kind]?.(JSON.parse(event.data), offset)
    })
  }
  mine.onerror = () => {
    if (mine !== source) return
    mine.close()
    source = null
    nextAt = Date.now() + 1000 * WAITS[Math.min(failures++, WAITS.length - 1)]
  }
}

export function stale() {
  return asked !== null && !document.hidden && Date.now() - heard > MISSED_S * 1000
}

function show() {
  const bar = document.getElementById('stale'), lost = stale()
  document.body.classList.toggle('stale', lost)
  if (lost) {
    const wait = Math.max(0, Math.ceil((nextAt - Date.now()) / 1000))
    const text = `△ no answer for ${Math.round((Date.now() - heard) / 1000)} s, trying again in ${wait} s. Training goes on without this page. `
    const now = document.createElement('button')
    now.type = 'button'
    now.textContent = 'now'
    now.onclick = () => open()
    bar.replaceChildren(text, now)
  }
  bar.hidden = !lost
}

setInterval(() => {
  if (!asked) return
  if (document.hidden) {
    hiddenSince ||= Date.now()
    if (source && Date.now() - hiddenSince > HIDDEN_S * 1000) {
      source.close()
      source = null
    }
    return
  }
  hiddenSince = 0
  if (!source && Date.now() >= nextAt) open()
  show()
}, 1000)
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && asked && !source) open()
})
// A page that a browser keeps for its back button would hold one of the six connections.
addEventListener('pagehide', () => {
  source?.close()
  source = null
})
