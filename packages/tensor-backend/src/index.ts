export { makeFolder } from '#file-system'
export { openHubRepository } from '#hub'
export { HeedError, type HeedErrorCode, heedErrorCodes, isHeedError } from './errors.ts'
export { type PendingFile, type WriteBytes, writeFileAtomic, writeFilesAtomic } from './files/atomic-write.ts'
export { openPrivateFolder, privateCall, splitPrivate } from './files/browser/private-folder.ts'
export type { ByteSource } from './files/byte-source.ts'
export { type CheckpointLocation, openCheckpoint } from './files/checkpoint.ts'
export {
  dtypeBits,
  encodeFloatsInTurns,
  type FileDtype,
  type FloatFileDtype,
  type RawTensor,
  tensorFromRaw,
} from './files/dtypes.ts'
export { fullDiskReason } from './files/full-disk.ts'
export { dequantizeGgml } from './files/gguf/dequantize.ts'
export type { GgufTensorInfo } from './files/gguf/header.ts'
export { type GgmlFloatType, quantizeGgml, quantizeTensorInTurns } from './files/gguf/quantize.ts'
export { type GgmlType, type GgufField, type GgufType, type GgufValue, ggmlTypes } from './files/gguf/types.ts'
export { type WritableGgmlTensor, type WriteGgufOptions, writeGguf } from './files/gguf/write.ts'
export { type GgufFile, openGguf } from './files/gguf.ts'
export { DEFAULT_ENDPOINT, type HubOptions, type HubRepository, type HubRepositoryKind, isHubId } from './files/hub.ts'
export { ifFound } from './files/if-found.ts'
export { type ByteSourceLike, openByteSource, readText } from './files/open-byte-source.ts'
export {
  readShardedIndex,
  type ShardedIndex,
  type WriteShardedOptions,
  writeShardedSafetensors,
} from './files/safetensors/shards.ts'
export {
  type NamedTensors,
  serializeSafetensors,
  type WritableTensor,
  type WriteSafetensorsOptions,
  writeSafetensors,
} from './files/safetensors/write.ts'
export {
  openSafetensors,
  type ReadSafetensorsOptions,
  readSafetensors,
  type SafetensorsFile,
} from './files/safetensors.ts'
export { parseStrictJson, shown } from './files/strict-json.ts'
export type { TensorFile, TensorInfo } from './files/tensor-file.ts'
export { openTorchCheckpoint, type TorchFile } from './files/torch-pickle.ts'
export type { UrlOptions } from './files/url-source.ts'
export { type GradientListener, recomputed, type VariableGradients, variableGradients } from './gradients.ts'
export {
  type BackendFinding,
  type BackendName,
  type BackendReport,
  examineBackends,
  type InitOptions,
  init,
} from './init.ts'
export { sizeOfJob } from './job.ts'
export { nearestName } from './nearest-name.ts'
export { nextTask } from './next-task.ts'
export { accumulate } from './ops/accumulate.ts'
export { type Activation, activate, gelu, silu } from './ops/activation.ts'
export { type AdafactorOptions, type AdafactorParameter, adafactor } from './ops/adafactor.ts'
export { type AdamWOptions, type AdamWParameter, adamW } from './ops/adamw.ts'
export { attendEach, type CachedSequence } from './ops/attend-each.ts'
export { type AttentionOptions, attention, attentionWithWeights } from './ops/attention.ts'
export { checkDtype, checkLastDim, checkRank, checkShape } from './ops/checks.ts'
export { type CrossEntropyOptions, crossEntropy } from './ops/cross-entropy.ts'
export { dropout } from './ops/dropout.ts'
export { embedding } from './ops/embedding.ts'
export { isRecording } from './ops/fused.ts'
export { globalNorm } from './ops/global-norm.ts'
export { trimMemory, trimMemorySoon } from './ops/in-place.ts'
export { layerNorm } from './ops/layer-norm.ts'
export { lazyZeros } from './ops/lazy-zeros.ts'
export { linear } from './ops/linear.ts'
export { type LionOptions, type LionParameter, lion } from './ops/lion.ts'
export type { Clip } from './ops/optimizer-step.ts'
export { packedAttention, packRows, packsRows, type RowPacking, unpackRows } from './ops/packed-rows.ts'
export { isQuantizedType, type QuantizedType } from './ops/quantized-format.ts'
export { quantizedEmbedding, quantizedLinear } from './ops/quantized-linear.ts'
export { QuantizedWeight } from './ops/quantized-weight.ts'
export { readInto } from './ops/read-into.ts'
export { rmsNorm } from './ops/rms-norm.ts'
export { type RotaryOptions, rotary } from './ops/rotary.ts'
export { type SgdOptions, type SgdParameter, sgd } from './ops/sgd.ts'
export { type Step, StepProgram } from './ops/step-program.ts'
export { swiGlu } from './ops/swiglu.ts'
export { tokenLogProbs } from './ops/token-log-probs.ts'
export { uninitialized } from './ops/uninitialized.ts'
export { writeRows } from './ops/write-rows.ts'
export { checkOptionNames } from './option-names.ts'
export { tf } from './tf.ts'
export { Turns } from './turns.ts'
export { withoutUndefined } from './without-undefined.ts'
export { joinWorld, type World } from './world.ts'
