import { openGpu, withNavigatorGpu } from '#webgpu-platform'
import { HeedError } from '../errors.ts'
import { activationShaders } from '../ops/shaders/activation.ts'
import { attentionShaders } from '../ops/shaders/attention.ts'
import { attentionGradientShaders } from '../ops/shaders/attention-gradient.ts'
import { crossEntropyShaders } from '../ops/shaders/cross-entropy.ts'
import { dropoutShaders } from '../ops/shaders/dropout.ts'
import { embeddingShaders } from '../ops/shaders/embedding.ts'
import { globalNormShaders } from '../ops/shaders/global-norm.ts'
import { inPlaceShaders } from '../ops/shaders/in-place.ts'
import { layerNormShaders } from '../ops/shaders/layer-norm.ts'
import { linearShaders } from '../ops/shaders/linear.ts'
import { optimizerShaders } from '../ops/shaders/optimizers.ts'
import { rmsNormShaders } from '../ops/shaders/rms-norm.ts'
import { rotaryShaders } from '../ops/shaders/rotary.ts'
import { swiGluShaders } from '../ops/shaders/swiglu.ts'
import { tokenLogProbsShaders } from '../ops/shaders/token-log-probs.ts'
import { wholeNumberTranspose } from '../ops/shaders/transpose.ts'
import { loadTfjsWebgpu, tf } from '../tf.ts'
import { type TfjsWebgpuBackend, WebgpuDevice, type WebgpuKernel } from './webgpu-device.ts'

/** The fused operations in WGSL; every other kernel is that of tfjs's WebGPU backend, or composed of such. */
const shaderKernels: Record<string, WebgpuKernel> = {
  ...activationShaders,
  ...attentionShaders,
  ...attentionGradientShaders,
  ...crossEntropyShaders,
  ...dropoutShaders,
  ...embeddingShaders,
  ...globalNormShaders,
  ...inPlaceShaders,
  ...layerNormShaders,
  ...linearShaders,
  ...optimizerShaders,
  ...rmsNormShaders,
  ...rotaryShaders,
  ...swiGluShaders,
  ...tokenLogProbsShaders,
}

/** What was found of WebGPU. */
export interface WebgpuReport {
  threads: 1
  /** The adapter, such as `nvidia lovelace`, with `(software)` when it is a program that runs on the processor. */
  instructionSet: string
  /** Whether it is one: slower than the wasm backend. */
  isSoftware: boolean
}

/** Registers tfjs's WebGPU backend with the fused kernels, or gives the reason why it cannot run here. */
export async function loadWebgpu(): Promise<WebgpuReport | string> {
  const gpu = await openGpu()
  if (typeof gpu === 'string') return gpu
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (!adapter) return 'WebGPU finds no adapter (no driver, or one that is not allowed)'
  let device: GPUDevice
  try {
    device = await adapter.requestDevice(descriptorOf(adapter))
  } catch (error) {
    return `WebGPU gives no device: ${(error as Error).message}`
  }
  const { WebGPUBackend } = await loadTfjsWebgpu()
  const backend = withNavigatorGpu(gpu, () => new WebGPUBackend(device, adapter.info))
  if (!('OffscreenCanvas' in globalThis)) refuseReadingAtOnce(backend)
  // tfjs has one of its own where it found `navigator.gpu`, with a device of its own.
  if (tf.findBackendFactory('webgpu')) tf.removeBackend('webgpu')
  tf.registerBackend('webgpu', () => backend, 2)
  const fused = new WebgpuDevice(backend as unknown as TfjsWebgpuBackend)
  for (const [kernelName, kernel] of Object.entries(shaderKernels)) {
    tf.registerKernel({
      kernelName,
      backendName: 'webgpu',
      kernelFunc: ({ inputs, attrs }) => kernel(fused, inputs as never, (attrs ?? {}) as never),
    })
  }
  const { kernelFunc: transposeFloats } = tf.getKernel('Transpose', 'webgpu')
  tf.unregisterKernel('Transpose', 'webgpu')
  tf.registerKernel({
    kernelName: 'Transpose',
    backendName: 'webgpu',
    kernelFunc: call =>
      call.inputs.x!.dtype === 'float32'
        ? transposeFloats(call)
        : wholeNumberTranspose(fused, call.inputs as never, call.attrs as never),
  })
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info
  const name = [vendor, architecture].filter(part => part !== '').join(' ') || description || 'unnamed adapter'
  const isSoftware = isFallbackAdapter || /swiftshader|llvmpipe/i.test(name)
  return { threads: 1, instructionSet: isSoftware ? `${name} (software)` : name, isSoftware }
}

/** tfjs reads a tensor at once by way of a canvas; where there is none, `dataSync` says what to do instead. */
function refuseReadingAtOnce(backend: tf.KernelBackend): void {
  const { tensorMap } = backend as unknown as TfjsWebgpuBackend
  const readSync = backend.readSync.bind(backend)
  backend.readSync = dataId => {
    if (tensorMap.get(dataId).values != null) return readSync(dataId)
    throw new HeedError(
      'HEED_BACKEND_UNAVAILABLE',
      'dataSync: the backend is webgpu, expected one whose tensors can be read at once. Use await tensor.data() instead.',
    )
  }
}

/** All that the adapter has of what tfjs and our shaders make use of. */
function descriptorOf({ features, limits }: GPUAdapter): GPUDeviceDescriptor {
  const wantedFeatures = ['timestamp-query', 'shader-f16'] as const
  const wantedLimits = [
    'maxComputeWorkgroupStorageSize',
    'maxComputeWorkgroupsPerDimension',
    'maxStorageBufferBindingSize',
    'maxStorageBuffersPerShaderStage',
    'maxBufferSize',
    'maxComputeWorkgroupSizeX',
    'maxComputeInvocationsPerWorkgroup',
  ] as const
  return {
    requiredFeatures: wantedFeatures.filter(feature => features.has(feature)),
    requiredLimits: Object.fromEntries(wantedLimits.map(limit => [limit, limits[limit]])),
  }
}
