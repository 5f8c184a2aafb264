// Files that were dropped or chosen: read as a tree, so that class sub-folders stay, and sent to the holding place.

import {el, button} from './dom.js'
import {post, putFile, Failure} from './api.js'

let held = null // {name, files: [{name, file}]}
const SENT_AT_ONCE = 3

export const take = () => {
  const found = held
  held = null
  return found
}
export const waits = () => held !== null

export async function hold(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean)
  const files = []
  for (const entry of entries) await walk(entry, '', files)
  if (files.length) held = whole(files)
}

// From an <input>; with webkitdirectory each file carries its path below the chosen folder.
function chosen(list) {
  const files = [...list].map((file) => ({name: file.webkitRelativePath || file.name, file}))
  if (files.length) held = whole(files)
}

// Two buttons that choose a file or a folder; then `go` takes what was chosen.
export const pickers = (go) => [false, true].map((folder) => {
  const field = el('input', {type: 'file', multiple: folder, webkitdirectory: folder, hidden: true, onchange: () => { chosen(field.files); go() }})
  return [field, button(folder ? 'Choose a folder' : 'Choose a file', () => field.click())]
})

async function walk(entry, above, out) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed))
    out.push({name: above + entry.name, file})
    return
  }
  const reader = entry.createReader()
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed))
    if (!some.length) break
    for (const inner of some) await walk(inner, `${above}${entry.name}/`, out)
  }
}

function whole(all) {
  const files = all.filter((one) => !one.name.split('/').some((part) => part.startsWith('.')))
  const tops = new Set(files.map((one) => one.name.split('/')[0]))
  if (files.length === 1 && !files[0].name.includes('/')) return {name: files[0].name, files}
  if (tops.size === 1) {
    const top = [...tops][0]
    return {name: top, files: files.map((one) => ({...one, name: one.name.slice(top.length + 1)}))}
  }
  return {name: 'dropped', files}
}

// Sends what is not held yet; tell(bytes sent, of all). Gives {id, name}.
export async function send(what, tell, signal) {
  const listed = what.files.map(({name, file}) => ({name, size: file.size, changed: file.lastModified}))
  const begun = await post('/api/uploads', {name: what.name, files: listed}, signal)
  const all = begun.missing.reduce((sum, i) => sum + what.files[i].file.size, 0), queue = [...begun.missing]
  const sent = new Map(), told = (i, bytes) => { sent.set(i, bytes); tell([...sent.values()].reduce((a, b) => a + b, 0), all) }
  const worker = async () => {
    while (queue.length) {
      const i = queue.shift()
      try {
        await putFile(`/api/uploads/${begun.id}/${i}`, what.files[i].file, signal, (bytes) => told(i, bytes))
      } catch (error) {
        if (error instanceof Failure && error.status === 0) throw new Failure(0, `${what.files[i].name} did not arrive; drop it again`)
        throw error
      }
      told(i, what.files[i].file.size)
    }
  }
  await Promise.all(Array.from({length: SENT_AT_ONCE}, worker))
  return {id: begun.id, name: begun.name}
}

export const pictures = (what) => what.files.filter(({file}) => file.type.startsWith('image/')).slice(0, 12).map(({file}) => file)
