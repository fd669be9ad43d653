import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TrainingArguments } from '../src/arguments.ts'
import type { TokenExample } from '../src/data/packed-tokens.ts'

export interface Rows {
  inputIds: number[][]
  labels: number[][]
  attentionMask?: number[][]
}

/** A recorded run: its recipe, the micro-batches of each step, and what each step gave. */
export interface Trajectory {
  recipe: Partial<TrainingArguments> & { steps: number }
  batches: Rows[][]
  steps: Array<{ loss: number; gradNorm: number; learningRate: number }>
}

export const trajectoryFolder = (name: string): string =>
  fileURLToPath(new URL(`./fixtures/trajectory-${name}`, import.meta.url))

export const readTrajectory = (name: string): Trajectory =>
  JSON.parse(readFileSync(`${trajectoryFolder(name)}/trajectory.json`, 'utf8'))

/** All rows in their order: two make a micro-batch. */
export const trajectoryExamples = ({ batches }: Trajectory): TokenExample[] => rowsOf(batches.flat())

export function rowsOf(batches: readonly Rows[]): TokenExample[] {
  return batches.flatMap(({ inputIds, labels, attentionMask }) =>
    inputIds.map((ids, row) => ({
      inputIds: ids,
      labels: labels[row]!,
      ...(attentionMask && { attentionMask: attentionMask[row]! }),
    })),
  )
}
