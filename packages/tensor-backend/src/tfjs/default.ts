/** tfjs, with its gradients registered, as everyone sees it. */
// biome-ignore lint/style/noRestrictedImports: this and its twin for Node are the one door
export * as tf from '@tensorflow/tfjs'
export { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu'
