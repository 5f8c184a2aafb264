// What got no answer is asked for again, after 1, 2, 4, 8 and then every 10 s, until there is one; "now" does not wait.

import {button} from './dom.js'

const WAITS_S = [1, 2, 4, 8, 10]
const unanswered = ({status}) => status === 0 || status >= 502

export function retrying() {
  const held = new Map() // of each thing that is asked for: its timer, and how often it went without an answer
  return {
    // Pieces that say what went wrong; where that can help, `again` is called in a while.
    said(error, again) {
      const {timer, tries} = held.get(again) ?? {tries: 0}, wait = WAITS_S[Math.min(tries, WAITS_S.length - 1)]
      clearTimeout(timer)
      if (!unanswered(error)) return [`${error.message}. `]
      held.set(again, {timer: setTimeout(again, 1000 * wait), tries: tries + 1})
      return [`no answer, trying again in ${wait} s `, button('now', () => { clearTimeout(held.get(again)?.timer); again() }, {class: 'link'}), ` (${error.message}). `]
    },
    answered(again) {
      clearTimeout(held.get(again)?.timer)
      held.delete(again)
    },
    close() { for (const {timer} of held.values()) clearTimeout(timer) },
  }
}
