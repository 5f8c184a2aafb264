// The studio's own interface. An error carries the sentence that the command line gives.

export class Failure extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

async function ask(method, path, body, signal) {
  const headers = body === undefined ? {} : {'content-type': 'application/json'}
  let answer
  try {
    answer = await fetch(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal})
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new Failure(0, 'the studio does not answer; is it still running in its window?')
  }
  const text = await answer.text()
  let document_ = null
  try { document_ = JSON.parse(text) } catch { /* an answer that is no JSON is told by its status */ }
  if (!answer.ok) throw new Failure(answer.status, document_?.error?.message ?? `the studio answered ${answer.status}`)
  return document_
}

export const get = (path, signal) => ask('GET', path, undefined, signal)
export const post = (path, body = {}, signal) => ask('POST', path, body, signal)

// Sends a file and tells how many of its bytes are on their way; fetch cannot.
export function putFile(path, file, signal, tell) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest(), broken = () => failed(new DOMException('broken off', 'AbortError'))
    request.open('PUT', path)
    request.setRequestHeader('content-type', 'application/octet-stream')
    request.upload.onprogress = (event) => tell(event.loaded)
    request.onabort = broken
    request.onerror = () => failed(new Failure(0, 'the studio does not answer; is it still running in its window?'))
    request.onload = () => {
      if (request.status < 300) return done()
      let said = null
      try { said = JSON.parse(request.responseText)?.error?.message } catch { /* told by its status */ }
      failed(new Failure(request.status, said ?? `the studio answered ${request.status}`))
    }
    if (signal?.aborted) return broken()
    signal?.addEventListener('abort', () => request.abort())
    request.send(file)
  })
}

// One key a press: the same press sent twice is one thing.
export const key = () => crypto.randomUUID()
