import { HeedError } from '../errors.ts'
import { tf } from '../tf.ts'

type ScalarType = 'u32' | 'i32' | 'f32'

/**
 * A compute shader in WGSL. Its bindings and the struct `params` are declared for it, by these names; `code` holds the
 * entry point `main`.
 */
export interface Shader {
  /** Tensors that are read, with the type of their elements. */
  reads: Record<string, string>
  /** Tensors that are written; they may be read as well. */
  writes: Record<string, string>
  /** Plain numbers, read as `params.name`. */
  params: Record<string, ScalarType>
  code: string
}

/**
 * A kernel of the webgpu backend. Each declares the inputs it takes, a list for the fused ops of Heed, and its attributes;
 * tfjs passes both untyped.
 */
export type WebgpuKernel = (device: WebgpuDevice, inputs: never, attributes: never) => tf.TensorInfo | tf.TensorInfo[]

/** Of one tensor: the buffer on the GPU, values on the side of JavaScript, or both. */
interface TensorData {
  dtype: tf.DataType
  shape: number[]
  values?: unknown
  resource?: GPUBuffer | null
}

/** What is used here of `WebGPUBackend` of `@tensorflow/tfjs-backend-webgpu`, whose commands ours are queued among. */
export interface TfjsWebgpuBackend {
  device: GPUDevice
  tensorMap: { get(dataId: object): TensorData }
  commandEncoder: GPUCommandEncoder | null
  computePassEncoder: GPUComputePassEncoder | null
  dispatchCountInPass: number
  commandQueueOwnedIds: WeakSet<object>
  uniformPendingDisposal: GPUBuffer[]
  bufferManager: { acquireBuffer(size: number, usage: number): GPUBuffer }
  makeTensorInfo(shape: number[], dtype: tf.DataType): tf.TensorInfo
  uploadToGPU(dataId: object): void
  makeUniforms(values: Array<{ type: 'uint32' | 'int32' | 'float32'; data: number[] }>): GPUBufferBinding
  ensureCommandEncoderReady(): void
  endComputePassEncoder(): void
  submitQueue(): void
  disposeData(dataId: object, force?: boolean): boolean
}

const uniformTypes = { u32: 'uint32', i32: 'int32', f32: 'float32' } as const

/** Compiles shaders and queues them on the tensors of tfjs's WebGPU backend. */
export class WebgpuDevice {
  private readonly pipelines = new Map<Shader, GPUComputePipeline>()

  constructor(readonly backend: TfjsWebgpuBackend) {}

  /** A tensor for a kernel to write. */
  output(shape: number[], dtype: 'float32' | 'int32' | 'bool' = 'float32'): tf.TensorInfo {
    const tensor = this.backend.makeTensorInfo(shape, dtype)
    // Nothing is run to fill it.
    if (tf.util.sizeFromShape(shape) === 0) this.backend.tensorMap.get(tensor.dataId).values = new Float32Array(0)
    return tensor
  }

  /** Frees a tensor that a kernel made for itself, once its commands have run. */
  release(tensor: tf.TensorInfo): void {
    this.backend.disposeData(tensor.dataId)
  }

  /**
   * Queues `shader` on `tensors`, which have the names of its bindings, in so many workgroups. A tensor that a shader
   * leaves untouched under these params may be any other that it reads.
   */
  run(
    shader: Shader,
    tensors: Record<string, tf.TensorInfo>,
    params: Record<string, number>,
    workgroups: [x: number, y?: number, z?: number],
  ): void {
    if (workgroups.some(count => count === 0)) return
    const { backend } = this
    const pipeline = this.pipeline(shader)
    const buffers = [
      ...Object.keys(shader.reads).map(name => ({ buffer: this.buffer(tensors[name]!) })),
      ...Object.keys(shader.writes).map(name => ({ buffer: this.bufferToWrite(tensors[name]!) })),
    ]
    const values = Object.entries(shader.params).map(([name, type]) => ({
      type: uniformTypes[type],
      data: [params[name]!],
    }))
    const resources = values.length > 0 ? [...buffers, backend.makeUniforms(values)] : buffers
    const bindGroup = backend.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: resources.map((resource, binding) => ({ binding, resource })),
    })
    backend.ensureCommandEncoderReady()
    backend.computePassEncoder ??= backend.commandEncoder!.beginComputePass()
    const pass = backend.computePassEncoder
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, bindGroup)
    pass.dispatchWorkgroups(...workgroups)
    backend.dispatchCountInPass++
    if (backend.dispatchCountInPass >= tf.env().getNumber('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE')) {
      backend.endComputePassEncoder()
      backend.submitQueue()
    }
  }

  /** Queues the filling of a tensor with zeros. */
  clear(tensor: tf.TensorInfo): void {
    if (tf.util.sizeFromShape(tensor.shape) === 0) return
    const buffer = this.bufferToWrite(tensor)
    this.backend.ensureCommandEncoderReady()
    this.backend.endComputePassEncoder()
    this.backend.commandEncoder!.clearBuffer(buffer)
  }

  private buffer({ dataId, shape }: tf.TensorInfo): GPUBuffer {
    const { backend } = this
    const data = backend.tensorMap.get(dataId)
    // A binding cannot be empty, and the tensor has nothing to be read or written.
    if (tf.util.sizeFromShape(shape) === 0) return this.scratch()
    checkBytes(backend.device, 4 * tf.util.sizeFromShape(data.shape))
    backend.uploadToGPU(dataId)
    backend.commandQueueOwnedIds.add(dataId)
    return data.resource!
  }

  private bufferToWrite(tensor: tf.TensorInfo): GPUBuffer {
    const buffer = this.buffer(tensor)
    // A copy that was read before is out of date.
    const data = this.backend.tensorMap.get(tensor.dataId)
    if (tf.util.sizeFromShape(tensor.shape) > 0) data.values = null
    return buffer
  }

  private scratch(): GPUBuffer {
    const buffer = this.backend.bufferManager.acquireBuffer(4, GPUBufferUsage.STORAGE)
    this.backend.uniformPendingDisposal.push(buffer)
    return buffer
  }

  private pipeline(shader: Shader): GPUComputePipeline {
    const known = this.pipelines.get(shader)
    if (known) return known
    const { device } = this.backend
    const module = device.createShaderModule({ code: sourceOf(shader) })
    const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
    this.pipelines.set(shader, pipeline)
    return pipeline
  }
}

/** Throws HEED_OUT_OF_MEMORY for a tensor that is larger than a shader of this device can see. */
function checkBytes({ limits }: GPUDevice, bytes: number): void {
  if (bytes <= limits.maxStorageBufferBindingSize) return
  throw new HeedError(
    'HEED_OUT_OF_MEMORY',
    `webgpu backend: a tensor takes ${bytes} bytes, expected at most ${limits.maxStorageBufferBindingSize} on this device. ` +
      'Use a smaller batch or model.',
  )
}

/** The WGSL of a shader with the declarations of its bindings. */
export function sourceOf({ reads, writes, params, code }: Shader): string {
  const bindings = [
    ...Object.entries(reads).map(([name, type]) => `var<storage, read> ${name}: array<${type}>;`),
    ...Object.entries(writes).map(([name, type]) => `var<storage, read_write> ${name}: array<${type}>;`),
  ]
  const fields = Object.entries(params).map(([name, type]) => `${name}: ${type}`)
  const uniform = fields.length > 0 ? [`var<uniform> params: Params;`] : []
  return [
    ...(fields.length > 0 ? [`struct Params { ${fields.join(', ')} }`] : []),
    ...[...bindings, ...uniform].map((binding, index) => `@group(0) @binding(${index}) ${binding}`),
    code,
  ].join('\n')
}

// A dispatch has at most so many workgroups along an axis; shaders go on with what is left in steps of all of them.
const maxWorkgroups = 65535
const workgroupSize = 256

/** Workgroups for a shader that begins with `elementwise`. */
export function groupsForElements(count: number): [number] {
  return [Math.min(maxWorkgroups, Math.ceil(count / workgroupSize))]
}

/** Workgroups for a shader that begins with `rowwise`. */
export function groupsForRows(rows: number): [number] {
  return [Math.min(maxWorkgroups, rows)]
}

/** A `main` that runs `body` for each `i` below params.count. */
export function elementwise(body: string): string {
  return `
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var i = id.x; i < params.count; i += groups.x * ${workgroupSize}u) {
    ${body}
  }
}`
}

// Threads that share a row.
const lanes = 128

/**
 * A `main` that runs `body` in LANES threads for each `row` below params.rows. They are told apart by `lane`, go through
 * columns in steps of LANES, and join their results by `sum_of_lanes` and `max_of_lanes`.
 */
export function rowwise(body: string): string {
  return `
const LANES = ${lanes}u;
var<workgroup> of_lanes: array<f32, ${lanes}>;

fn sum_of_lanes(value: f32, lane: u32) -> f32 {
  of_lanes[lane] = value;
  for (var half = LANES / 2; half > 0; half >>= 1) {
    workgroupBarrier();
    if (lane < half) { of_lanes[lane] += of_lanes[lane + half]; }
  }
  workgroupBarrier();
  let total = of_lanes[0];
  workgroupBarrier();
  return total;
}

fn max_of_lanes(value: f32, lane: u32) -> f32 {
  of_lanes[lane] = value;
  for (var half = LANES / 2; half > 0; half >>= 1) {
    workgroupBarrier();
    if (lane < half) { of_lanes[lane] = max(of_lanes[lane], of_lanes[lane + half]); }
  }
  workgroupBarrier();
  let highest = of_lanes[0];
  workgroupBarrier();
  return highest;
}

@compute @workgroup_size(${lanes})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var row = group.x; row < params.rows; row += groups.x) {
    ${body}
  }
}`
}
