/** The one import of tfjs in the repository, with its gradients registered. Everyone else takes `tf` from here. */
import { MathBackendCPU, tf } from '#tfjs'

export { MathBackendCPU, tf }

/** tfjs's WebGPU backend, 300 KB that only those who ask for it load. */
export function loadTfjsWebgpu(): Promise<{
  WebGPUBackend: new (device: GPUDevice, adapterInfo: GPUAdapterInfo) => tf.KernelBackend
}> {
  return import('@tensorflow/tfjs-backend-webgpu')
}
