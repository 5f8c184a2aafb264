// Points on a canvas: drawn by WebGL from two buffers, or plainly where there is no WebGL or where it was lost.

import {el} from './dom.js'

const VERTEX = 'attribute vec3 p;attribute vec4 c;uniform mat3 turn;uniform vec4 view;uniform float size;varying vec4 v;void main(){gl_Position=vec4((turn*p).xy*view.xy+view.zw,0.,1.);gl_PointSize=size*(c.a>.5?1.:.8);v=c;}'
const FRAGMENT = 'precision mediump float;varying vec4 v;void main(){if(length(gl_PointCoord-.5)>.5)discard;gl_FragColor=vec4(v.rgb*v.a,v.a);}'

export const PLAIN = 20000 // points that are drawn at most without WebGL

// `lost` is called when points are drawn plainly from now on.
export function points(lost) {
  let canvas = el('canvas', {class: 'points'}), gl = canvas.getContext('webgl', {antialias: false, alpha: true}), pen = null, buffers = null, ended = false, why = ''
  const plain = (reason) => {
    const next = el('canvas', {class: 'points', width: canvas.width, height: canvas.height})
    canvas.replaceWith(next)
    canvas = next
    gl = null
    pen = canvas.getContext('2d')
    why = reason
  }
  if (gl) canvas.addEventListener('webglcontextlost', () => { if (!ended) { plain('WebGL was lost'); lost() } })
  else plain('this browser has no WebGL')

  function setup() {
    const program = gl.createProgram()
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind)
      gl.shaderSource(shader, text)
      gl.compileShader(shader)
      gl.attachShader(program, shader)
    }
    gl.linkProgram(program)
    gl.useProgram(program)
    gl.enable(gl.BLEND)
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
    buffers = ['p', 'c'].map((name, k) => {
      const buffer = gl.createBuffer(), at = gl.getAttribLocation(program, name)
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer)
      gl.enableVertexAttribArray(at)
      gl.vertexAttribPointer(at, k ? 4 : 3, k ? gl.UNSIGNED_BYTE : gl.FLOAT, Boolean(k), 0, 0)
      return buffer
    })
    buffers.uniform = Object.fromEntries(['turn', 'view', 'size'].map((u) => [u, gl.getUniformLocation(program, u)]))
  }
  return {
    get canvas() { return canvas },
    get plain() { return why },
    upload(places, colours) {
      if (!gl) return
      if (!buffers) setup()
      for (const [k, data] of [places, colours].entries()) {
        gl.bindBuffer(gl.ARRAY_BUFFER, buffers[k])
        gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW)
      }
    },
    // The first n points; `view` is the middle and the pixels of a unit, `spot` gives the pixels of one point.
    draw(n, {width, height, ratio, size, turn, view, colours, spot}) {
      if (gl) {
        gl.viewport(0, 0, canvas.width, canvas.height)
        gl.clearColor(0, 0, 0, 0)
        gl.clear(gl.COLOR_BUFFER_BIT)
        gl.uniformMatrix3fv(buffers.uniform.turn, false, turn)
        gl.uniform4f(buffers.uniform.view, 2 * view[2] / width, 2 * view[2] / height, -2 * view[2] * view[0] / width, -2 * view[2] * view[1] / height)
        gl.uniform1f(buffers.uniform.size, size * ratio)
        gl.drawArrays(gl.POINTS, 0, n)
        return
      }
      pen.clearRect(0, 0, canvas.width, canvas.height)
      for (let i = 0; i < Math.min(PLAIN, n); i++) {
        const [x, y] = spot(i, turn, view)
        pen.fillStyle = `rgba(${colours[4 * i]},${colours[4 * i + 1]},${colours[4 * i + 2]},${colours[4 * i + 3] / 255})`
        pen.fillRect((x - size / 2) * ratio, (y - size / 2) * ratio, size * ratio, size * ratio)
      }
    },
    close() {
      ended = true
      gl?.getExtension('WEBGL_lose_context')?.loseContext()
    },
  }
}
