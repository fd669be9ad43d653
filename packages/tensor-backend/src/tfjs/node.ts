/**
 * tfjs in Node, where it is CommonJS: `import` would search all its files for the names they export, which takes longer than to
 * run them.
 */
import { createRequire } from 'node:module'
import type * as tfjs from './default.ts'

const require = createRequire(import.meta.url)
// biome-ignore lint/style/noRestrictedImports: see default.ts
export const tf: typeof tfjs.tf = require('@tensorflow/tfjs')
export const MathBackendCPU: typeof tfjs.MathBackendCPU = require('@tensorflow/tfjs-backend-cpu').MathBackendCPU

// With its first tensor the cpu backend would advise an addon of tfjs's own.
Object.assign(tf.engine().findBackend('cpu'), { firstUse: false })
