/**
 * The training run that the browser keeps: its recipe and text, beside the checkpoints that the Trainer writes there,
 * in the origin private file system.
 */
import { ifFound, openPrivateFolder, readText, writeFileAtomic } from '@heed/tensor-backend'

export type Architecture = 'llama' | 'gpt2'
export type SizeName = 'tiny' | 'small' | 'medium'

export interface Recipe {
  architecture: Architecture
  size: SizeName
  steps: number
  learningRate: number
  batchSize: number
  blockSize: number
  vocabSize: number
}

export const runFolder = 'opfs:/runs/current'
export const modelFolder: string = `${runFolder}/model`

export async function saveRun(recipe: Recipe, text: string): Promise<void> {
  await discardRun()
  await writeFileAtomic(`${runFolder}/corpus.txt`, text)
  await writeFileAtomic(`${runFolder}/recipe.json`, JSON.stringify(recipe)) // last: a run with a recipe is whole
}

export async function readRun(): Promise<{ recipe: Recipe; text: string } | undefined> {
  const recipe = await ifFound(() => readText(`${runFolder}/recipe.json`))
  if (recipe === undefined) return undefined
  return { recipe: JSON.parse(recipe) as Recipe, text: await readText(`${runFolder}/corpus.txt`) }
}

export async function discardRun(): Promise<void> {
  const runs = await openPrivateFolder('opfs:/runs', { create: true })
  await runs.removeEntry('current', { recursive: true }).catch(() => {}) // it was not there
}

/** Whether the run came to its end: of its model the tokenizer is saved last. */
export async function isRunDone(): Promise<boolean> {
  return (await filesIn(modelFolder)).some(({ name }) => name === 'tokenizer.json')
}

/** The files of a folder, those of folders in it left out. */
export async function filesIn(address: string): Promise<File[]> {
  const folder = await ifFound(() => openPrivateFolder(address))
  const files: File[] = []
  if (!folder) return files
  for await (const entry of folder.values()) {
    if (entry.kind === 'file') files.push(await (entry as FileSystemFileHandle).getFile())
  }
  return files
}
