import { HeedError, ifFound } from '@heed/tensor-backend'
import { Tokenizer } from '@heed/tokenizer'
import { openPretrained } from '@heed/transformer'
import { loadTokenizer } from 'heed'
import { mendOfRun } from './resumed-run.ts'
import { tokenizerFolder } from './training-session.ts'

/** The tokenizer of a folder that the command line names. */
export interface GivenTokenizer {
  source: string
  tokenizer: Tokenizer
}

/**
 * Refuses a prepared corpus whose tokens are not those of the model that is to go on with it. Throws HEED_ARGUMENT_INVALID, and
 * as `openPretrained`.
 */
export async function checkCorpusOfModel(given: GivenTokenizer, model: string): Promise<void> {
  const mend = `Prepare the corpus again by heed data prepare with --tokenizer ${model}, or leave --model out.`
  await checkFits(given, model, mend)
  const own = await ifFound(() => loadTokenizer(model))
  if (own) checkSame(given, own, `as the tokenizer of ${model}`, mend)
}

/** Refuses a tokenizer that has more tokens than the model. Throws HEED_ARGUMENT_INVALID, and as `openPretrained`. */
export async function checkTokenizerOfModel(given: GivenTokenizer, model: string): Promise<void> {
  await checkFits(given, model, 'Leave --tokenizer out for that of the model, or choose a smaller one.')
}

/** Refuses to go on with a run by the tokenizer of a folder that is another than it began with. Throws HEED_ARGUMENT_INVALID. */
export async function checkTokenizerOfRun(given: GivenTokenizer, out: string): Promise<void> {
  const own = await ifFound(() => Tokenizer.fromPretrained(tokenizerFolder(out)))
  if (!own) return // it stopped before its first step, and begins again
  checkSame(given, own, `as the run in ${out}, with --resume`, mendOfRun)
}

async function checkFits({ source, tokenizer }: GivenTokenizer, model: string, mend: string): Promise<void> {
  const { vocabSize } = tokenizer
  const { vocab_size: most } = (await openPretrained(model)).config
  if (typeof most !== 'number' || vocabSize <= most) return
  throw new HeedError(
    'HEED_ARGUMENT_INVALID',
    `${source}: its tokenizer has ${vocabSize} tokens, expected at most ${most}, the vocab_size of ${model}. ${mend}`,
  )
}

function checkSame({ source, tokenizer }: GivenTokenizer, other: Tokenizer, expected: string, mend: string): void {
  const refuse = (found: string): HeedError =>
    new HeedError('HEED_ARGUMENT_INVALID', `${source}: its tokenizer has ${found} ${expected}. ${mend}`)
  if (tokenizer.vocabSize !== other.vocabSize)
    throw refuse(`${tokenizer.vocabSize} tokens, expected ${other.vocabSize}`)
  for (const [token, id] of other.vocabulary()) {
    if (tokenizer.tokenToId(token) === id) continue
    const found = tokenizer.idToToken(id)
    const shown = found === undefined ? 'no token' : JSON.stringify(found)
    throw refuse(`${shown} as token ${id} of ${other.vocabSize}, expected ${JSON.stringify(token)}`)
  }
}
