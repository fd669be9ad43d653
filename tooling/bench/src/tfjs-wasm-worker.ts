// Does products for `contestant.ts` on tfjs's own WebAssembly backend.
import { tf } from '@heed/tensor-backend'
import '@tensorflow/tfjs-backend-wasm'
import { serveTasks } from './serve-tasks.ts'
import { matmul } from './tensor-tasks.ts'

await tf.setBackend('wasm')
await tf.ready()
await serveTasks(task => {
  if (task.name === 'matmul') return matmul(task)
  throw new Error(`tfjs-wasm-worker: the task is ${task.name}, expected matmul.`)
})
