// The studio's own interface. An error carries the sentence that the command line gives.

export class Failure extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

async function ask(method, path, body, signal) {
  const json = body !== undefined && !(body instanceof Blob)
  const headers = body === undefined ? {} : {'content-type': json ? 'application/json' : 'application/octet-stream'}
  let answer
  try {
    answer = await fetch(path, {method, headers, body: json ? JSON.stringify(body) : body, signal})
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
export const putBytes = (path, blob, signal) => ask('PUT', path, blob, signal)

// One key a press: the same press sent twice is one thing.
export const key = () => crypto.randomUUID()
