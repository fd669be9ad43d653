import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readSafetensors, type tf } from '@heed/tensor-backend'

/** One call of an operation by PyTorch in float64, with its gradients; names of tensors are keys of ops.safetensors. */
export interface OpCase {
  op: string
  name: string
  attrs: Record<string, unknown>
  inputs: Record<string, string>
  outputs: Record<string, string>
  dy: Record<string, string>
  grads: Record<string, string>
  atol: number
  rtol: number
}

function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
}

const { cases } = JSON.parse(readFileSync(fixturePath('ops.json'), 'utf8')) as { cases: OpCase[] }

export function casesOf(...ops: string[]): OpCase[] {
  return cases.filter(({ op }) => ops.includes(op))
}

/** The attributes of a case as the operation takes them. */
export function attrsOf<T>({ attrs }: { attrs: unknown }): T {
  return attrs as T
}

/** All tensors of the fixture, on the active backend; the caller disposes of them. */
export function readFixture(): Promise<Record<string, tf.Tensor>> {
  return readSafetensors(fixturePath('ops.safetensors'))
}
