import { HeedError } from '../errors.ts'
import type { ByteSource } from './byte-source.ts'
import { type ByteSourceLike, openWith } from './open-byte-source.ts'
import { type TensorFile, tensorFile } from './tensor-file.ts'
import { openLegacyArchive, openZipArchive, type TorchArchive } from './torch/archives.ts'
import { namedTensors } from './torch/state.ts'
import { readWindow } from './torch/window.ts'
import type { UrlOptions } from './url-source.ts'

export interface TorchFile extends TensorFile {
  /** All that was saved besides: dict as Map, list and tuple as array, None as null, a tensor as its shape and place. */
  readonly root: unknown
}

async function openArchive(source: ByteSource): Promise<TorchArchive> {
  const head = await source.read(0, Math.min(2, source.byteLength))
  if (head[0] === 0x50 && head[1] === 0x4b) return openZipArchive(source) // "PK"
  if (head[0] === 0x80) return openLegacyArchive(source) // a pickle's protocol operation
  throw new HeedError(
    'HEED_FILE_INVALID',
    `${source.name}: it begins as neither a zip archive nor a pickle, expected a PyTorch checkpoint.`,
  )
}

/**
 * Opens a file of `torch.save` (.bin, .pt, .pth, both layouts) without running any of it: tensors in nested dicts and
 * lists go by their keys joined with dots. A file that names any other class or function is refused.
 * Layout: torch/serialization.py. Throws HEED_FILE_NOT_FOUND, HEED_FILE_INVALID, HEED_IO.
 */
export async function openTorchCheckpoint(source: ByteSourceLike, options: UrlOptions = {}): Promise<TorchFile> {
  return openWith(source, options, async opened => {
    const { root, checkStorage, offsetOf } = await openArchive(opened)
    const tensors = namedTensors(root, opened.name)
    for (const { storage } of tensors.values()) checkStorage(storage)
    const file = tensorFile(opened, tensors, async tensor => readWindow(opened, await offsetOf(tensor.storage), tensor))
    return { ...file, root }
  })
}
