// The one event stream of this tab. It comes back after 1, 2, 4, 8, then every 10 s, from the byte where it was; a hidden
// tab lets go after 30 s. Three missed beats, and the page says that nothing is known of now; a connection that is open but
// silent for so long is opened anew. The list's stamp says which list the page has, so that no change is missed between two.

const WAITS = [1, 2, 4, 8, 10], MISSED_S = 12, HIDDEN_S = 30
const KINDS = ['beat', 'runs', 'rows', 'run', 'anew', 'gone']

let source = null, asked = null, offset = 0, heard = Date.now(), opened = 0, stamp = '', failures = 0, nextAt = 0, hiddenSince = 0, handlers = {}

// {list: bool, run: id, offset, stamp} and a function for each kind of event. A page that shows nothing live listens for beats.
export function listen(wanted, functions) {
  handlers = functions
  asked = {list: wanted.list, run: wanted.run}
  offset = wanted.offset ?? 0
  stamp = wanted.stamp ?? ''
  failures = 0
  heard = Date.now()
  open()
}

// A page that is closed hears nothing more.
export function mute() {
  handlers = {}
}

function open() {
  source?.close()
  opened = Date.now()
  const query = new URLSearchParams({offset})
  if (stamp) query.set('stamp', stamp)
  if (asked.list) query.set('list', '1')
  if (asked.run) query.set('run', asked.run)
  const mine = source = new EventSource(`/api/events?${query}`)
  for (const kind of KINDS) {
    mine.addEventListener(kind, (event) => {
      if (mine !== source) return
      const found = JSON.parse(event.data)
      heard = Date.now()
      failures = 0
      if (event.lastEventId) offset = Number(event.lastEventId)
      stamp = found.stamp ?? stamp
      show()
      handlers[kind]?.(found, offset)
    })
  }
  mine.onerror = () => {
    if (mine === source) lost()
  }
}

function lost() {
  source?.close()
  source = null
  nextAt = Date.now() + 1000 * WAITS[Math.min(failures++, WAITS.length - 1)]
}

export function stale() {
  return asked !== null && !document.hidden && Date.now() - heard > MISSED_S * 1000
}

function show() {
  const bar = document.getElementById('stale'), silent = stale()
  document.body.classList.toggle('stale', silent)
  if (silent) {
    const wait = Math.ceil((nextAt - Date.now()) / 1000), text = `△ no answer for ${Math.round((Date.now() - heard) / 1000)} s, trying again${source || wait < 1 ? '' : ` in ${wait} s`}. Training goes on without this page. `
    const now = document.createElement('button')
    now.type = 'button'
    now.textContent = 'now'
    now.onclick = open
    bar.replaceChildren(text, now)
  }
  bar.hidden = !silent
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
  if (source && Date.now() - Math.max(heard, opened) > MISSED_S * 1000) lost()
  if (!source && Date.now() >= nextAt) open()
  show()
}, 1000)
document.addEventListener('visibilitychange', () => {
  if (document.hidden || !asked || source) return
  heard = Date.now() // nothing was missed while nobody listened
  open()
})
// A page that a browser keeps for its back button would hold one of the six connections.
addEventListener('pagehide', () => {
  source?.close()
  source = null
})
