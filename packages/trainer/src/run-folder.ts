import { HeedError, sizeOfJob } from '@heed/tensor-backend'
import { folders } from '#folder'

const checkpointName = /^checkpoint-\d+$/
/** A folder being written, and one that a newer of the same name pushes aside; neither is a checkpoint. */
const unfinished = 'tmp-'
const replaced = 'tmp-replaced-'

/** The checkpoints of a run, oldest first, as paths. */
export async function listCheckpoints(outputDir: string): Promise<string[]> {
  const names = await folders.list(outputDir)
  const steps = names.filter(name => checkpointName.test(name)).map(checkpointStep)
  return steps.sort((a, b) => a - b).map(step => `${outputDir}/checkpoint-${step}`)
}

/** The newest complete checkpoint, HF's `get_last_checkpoint`. */
export async function lastCheckpoint(outputDir: string): Promise<string | undefined> {
  return (await listCheckpoints(outputDir)).at(-1)
}

/** The step in a checkpoint's name or path. */
function checkpointStep(checkpoint: string): number {
  return Number(checkpoint.slice(checkpoint.lastIndexOf('-') + 1))
}

/** A file of a run that had not got its name yet. */
const unnamedFile = /^\.(?:report\.html|metrics\.jsonl)\.[\da-f-]{36}\.tmp$/

/** Clears away what a killed run left half-done. */
export async function cleanRunFolder(outputDir: string): Promise<void> {
  const names = await folders.list(outputDir)
  for (const name of names.filter(each => unnamedFile.test(each))) await folders.remove(`${outputDir}/${name}`)
  for (const name of names.filter(each => each.startsWith(unfinished))) {
    const original = name.slice(replaced.length)
    if (name.startsWith(replaced) && !names.includes(original)) {
      await folders.publish(`${outputDir}/${name}`, `${outputDir}/${original}`)
    } else {
      await folders.remove(`${outputDir}/${name}`)
    }
  }
}

/**
 * Throws HEED_IO when a run goes on in the folder: for what has work to do before `Trainer.train`, which asks again. In an MPI job
 * it asks nothing, since the run may be that of the job's first process.
 */
export async function checkNoOtherRun(outputDir: string): Promise<void> {
  if (sizeOfJob() > 1 || (await folders.list(outputDir)).length === 0) return
  const unlock = await folders.lock(outputDir)
  await unlock()
}

/** Refuses to mix a new run with the checkpoints of an older one. Throws HEED_ARGUMENT_INVALID. */
export async function checkNewRun(outputDir: string, isOverwritten: boolean): Promise<void> {
  const checkpoints = await listCheckpoints(outputDir)
  const last = checkpoints.at(-1)
  if (last === undefined) return
  if (!isOverwritten) {
    throw new HeedError(
      'HEED_ARGUMENT_INVALID',
      `TrainingArguments: outputDir is "${outputDir}", which holds ${last}, expected a folder without checkpoints. ` +
        'Go on with that run by train({ resumeFromCheckpoint: true }), choose another folder, or set overwriteOutputDir.',
    )
  }
  for (const checkpoint of checkpoints) await removeCheckpoint(checkpoint)
}

/** Removes it so that no half of it is ever found under its name. */
async function removeCheckpoint(checkpoint: string): Promise<void> {
  const aside = checkpoint.replace(/checkpoint-(\d+)$/, `${unfinished}removed-checkpoint-$1`)
  await folders.publish(checkpoint, aside)
  await folders.remove(aside)
}

/** Where the checkpoint of a step is while it is being written. */
export function unfinishedCheckpoint(outputDir: string, step: number): string {
  return `${outputDir}/${unfinished}checkpoint-${step}`
}

/**
 * Writes `checkpoint-<step>` whole or not at all: `write` fills a temporary folder, which gets its name when it is on
 * the disk. A kill at any moment leaves the checkpoints that were there.
 */
export async function publishCheckpoint(
  outputDir: string,
  step: number,
  write: (folder: string) => Promise<void>,
): Promise<string> {
  const name = `checkpoint-${step}`
  const [final, temporary, aside] = [name, unfinished + name, replaced + name].map(each => `${outputDir}/${each}`) as [
    string,
    string,
    string,
  ]
  await folders.remove(temporary)
  await folders.make(temporary)
  try {
    await write(temporary)
    const isReplacing = (await folders.list(outputDir)).includes(name)
    if (isReplacing) await folders.publish(final, aside)
    await folders.publish(temporary, final)
    if (isReplacing) await folders.remove(aside)
  } catch (error) {
    await folders.remove(temporary).catch(() => {}) // the first error is the one to tell
    throw error
  }
  return final
}

/** Removes the oldest checkpoints but for the newest `limit` and `best`. */
export async function rotateCheckpoints(outputDir: string, limit: number, best: string | undefined): Promise<void> {
  if (limit === 0) return
  const checkpoints = await listCheckpoints(outputDir)
  for (const checkpoint of checkpoints.slice(0, -limit)) {
    if (checkpoint !== best) await removeCheckpoint(checkpoint)
  }
}
