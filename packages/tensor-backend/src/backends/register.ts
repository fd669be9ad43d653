import { activationKernels } from '../ops/activation.ts'
import { attentionKernels } from '../ops/attention-kernels.ts'
import { crossEntropyKernels } from '../ops/cross-entropy.ts'
import { dropoutKernels } from '../ops/dropout.ts'
import { embeddingKernels } from '../ops/embedding.ts'
import { globalNormKernels } from '../ops/global-norm.ts'
import { layerNormKernels } from '../ops/layer-norm.ts'
import { linearKernels } from '../ops/linear.ts'
import { packedRowKernels } from '../ops/packed-rows.ts'
import { quantizedLinearKernels } from '../ops/quantized-linear.ts'
import { quantizedWeightKernels } from '../ops/quantized-weight.ts'
import { rmsNormKernels } from '../ops/rms-norm.ts'
import { rotaryKernels } from '../ops/rotary.ts'
import { swiGluKernels } from '../ops/swiglu.ts'
import { tokenLogProbsKernels } from '../ops/token-log-probs.ts'
import { topKKernels } from '../ops/top-k.ts'
import { tf } from '../tf.ts'
import { type BackendKernel, KernelBackend } from './kernel-backend.ts'
import { elementwiseKernels } from './kernels/elementwise.ts'
import { layoutKernels } from './kernels/layout.ts'
import { matmulKernels } from './kernels/matmul.ts'
import { reduceKernels } from './kernels/reduce.ts'
import type { KernelLibrary } from './library.ts'

/** Kernels that run in the C++ library; every other kernel of tfjs is its cpu backend's. */
const libraryKernels: Record<string, BackendKernel> = {
  ...elementwiseKernels,
  ...layoutKernels,
  ...matmulKernels,
  ...reduceKernels,
  ...activationKernels,
  ...attentionKernels,
  ...crossEntropyKernels,
  ...dropoutKernels,
  ...embeddingKernels,
  ...globalNormKernels,
  ...layerNormKernels,
  ...linearKernels,
  ...quantizedLinearKernels,
  ...packedRowKernels,
  ...quantizedWeightKernels,
  ...rmsNormKernels,
  ...rotaryKernels,
  ...swiGluKernels,
  ...tokenLogProbsKernels,
  ...topKKernels,
}

/** Registers a library as the tfjs backend of its name, with every kernel of tfjs and the fused ones of Heed. */
export function registerLibrary(library: KernelLibrary): void {
  tf.registerBackend(library.name, () => new KernelBackend(library), library.name === 'native' ? 4 : 3)
  const cpuKernels = Object.fromEntries(
    tf
      .getKernelsForBackend('cpu')
      .map(({ kernelName }): [string, BackendKernel] => [
        kernelName,
        (backend, inputs, attributes) => backend.cpuKernel(kernelName, inputs, attributes),
      ]),
  )
  for (const [kernelName, kernel] of Object.entries({ ...cpuKernels, ...libraryKernels })) {
    tf.registerKernel({
      kernelName,
      backendName: library.name,
      kernelFunc: ({ inputs, attrs, backend }) =>
        kernel(backend as KernelBackend, inputs as never, (attrs ?? {}) as never),
    })
  }
}
