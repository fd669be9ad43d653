import type { TrainingProgress } from '@heed/tokenizer'
import type { TrainOptions } from '../../commands/tokenizer/train.ts'
import { tryOutputDir } from '../../output-dir.ts'
import { formatCount } from '../../terminal/format.ts'
import { ProgressBar } from '../../terminal/progress.ts'
import { trainTokenizer } from '../../train-tokenizer.ts'
import { linesWithProgress } from './lines.ts'

/** The stage in which the trainer counts what it reads. */
const READING = 'Pre-processing sequences'

/** Trains a tokenizer and saves it. Throws as `trainTokenizer` and `Tokenizer.save`. */
export async function train(files: readonly string[], { out, json, ...options }: TrainOptions): Promise<void> {
  const isQuiet = json === true
  await tryOutputDir(out)
  const texts = linesWithProgress('read', files, isQuiet)
  const bar = new ProgressBar('learn', 1, isQuiet || !process.stderr.isTTY)
  const onProgress = ({ stage, done, total }: TrainingProgress) => {
    if (stage !== READING && total !== undefined) bar.update(done / total, `${stage}: ${formatCount(done)}`)
  }
  const tokenizer = await trainTokenizer(texts, { ...options, onProgress })
  bar.clear()
  await tokenizer.save(out)
  if (json) console.log(JSON.stringify({ out, vocabSize: tokenizer.vocabSize }))
  else console.log(`saved ${out}: ${formatCount(tokenizer.vocabSize)} tokens`)
}
