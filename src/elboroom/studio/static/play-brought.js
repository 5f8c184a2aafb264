// A picture from elsewhere, pasted, dropped or chosen: brought to the data's size and manner by the run's process.

import {unpacked} from './play-drawn.js'

const LARGEST = 256

const first = (list) => [...list ?? []].find((f) => f.type.startsWith('image/'))

// {pixels, said}: bytes of the data's size, and what was done. Transparent parts are white.
export async function brought(file, ask) {
  let bitmap
  try { bitmap = await createImageBitmap(file) } catch { throw new Error('This file is no picture that the browser can read') }
  const factor = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height)), width = Math.max(1, Math.round(bitmap.width * factor)), height = Math.max(1, Math.round(bitmap.height * factor)), ink = new OffscreenCanvas(width, height).getContext('2d')
  ink.fillStyle = '#fff'
  ink.fillRect(0, 0, width, height)
  ink.imageSmoothingQuality = 'high'
  ink.drawImage(bitmap, 0, 0, width, height)
  const data = ink.getImageData(0, 0, width, height).data
  let out = ''
  for (let i = 0; i < width * height; i++) out += String.fromCharCode(data[4 * i], data[4 * i + 1], data[4 * i + 2])
  const found = await ask('codes/fitted', {pixels: btoa(out), height, width})
  return {pixels: unpacked(found.pixels).slice(), said: `Of ${file.name || 'the pasted picture'}: ${found.said}.`}
}

// Calls bring(file, event) for a picture that is pasted, or dropped on `body`; gives what ends that.
export function listened(body, bring) {
  const pasted = (e) => { const one = first(e.clipboardData?.files); if (one) bring(one, e) }
  const dropped = (e) => {
    const one = first(e.dataTransfer?.files)
    if (!one) return
    e.preventDefault()
    e.stopPropagation()
    document.body.classList.remove('drop')
    bring(one, e)
  }
  addEventListener('paste', pasted)
  body.addEventListener('drop', dropped)
  return () => { removeEventListener('paste', pasted); body.removeEventListener('drop', dropped) }
}

// Bytes as base64, and back.
export function texted(bytes) {
  let out = ''
  for (let i = 0; i < bytes.length; i += 8192) out += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return btoa(out)
}

// Bytes that this tab keeps under a name; null where there are none of that size.
export function kept(name, size) {
  try {
    const found = Uint8Array.from(atob(sessionStorage.getItem(name) ?? ''), (c) => c.charCodeAt(0))
    return found.length === size ? found : null
  } catch { return null }
}
