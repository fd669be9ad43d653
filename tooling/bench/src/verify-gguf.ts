// Does llama.cpp, as node-llama-cpp ships it, read the GGUF files that Heed writes, with the same ids and the same greedy tokens?
// Run after `pnpm build`: node tooling/bench/dist/verify-gguf.js DIR [TEXT...]   DIR is an HF folder of the LLaMA family.
// Prints a line for each type of weights, OK or FAIL; the exit status is 0 or 1.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { llamaArchitectures, llamaFormats, writeGgufModel } from '@heed/llama'
import { type GgmlFloatType, init, tf } from '@heed/tensor-backend'
import { exportGgufVocabulary, Tokenizer } from '@heed/tokenizer'
import {
  AutoModelForCausalLM,
  type CausalLm,
  openPretrained,
  registerArchitecture,
  registerCheckpointFormat,
} from '@heed/transformer'
import { getLlama, LlamaLogLevel, type Token } from 'node-llama-cpp'

const NEW_TOKENS = 32
/** Both round in their own way: where they part, the logits of the two tokens must be as near as this. */
const nearTie: Readonly<Record<string, number>> = {
  F32: 1e-4,
  F16: 0.02,
  Q8_0: 0.2,
  Q6_K: 0.2,
  Q5_K: 0.5,
  Q4_K: 0.5,
  Q4_0: 0.5,
  Q3_K: 0.5,
  Q2_K: 0.5,
}

const [folder, ...given] = process.argv.slice(2)
if (!folder) throw new Error('usage: node tooling/bench/dist/verify-gguf.js DIR [TEXT...]')
const texts = given.length > 0 ? given : ['Once upon a time', 'The little dog was happy. He']

registerArchitecture(...llamaArchitectures)
registerCheckpointFormat(...llamaFormats)
await init()
const engine = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error })

/** llama.cpp's ids of a text without special tokens, and what it writes on from a prompt. */
async function llamaCpp(
  path: string,
  prompts: number[][],
): Promise<{ encode: (text: string) => number[]; written: number[][] }> {
  const model = await engine.loadModel({ modelPath: path })
  // One thread: several would wait for one another on a busy machine.
  const context = await model.createContext({ contextSize: 256, batchSize: 128, threads: 1 })
  const sequence = context.getSequence()
  const written: number[][] = []
  for (const prompt of prompts) {
    await sequence.clearHistory()
    const ids: number[] = []
    for await (const id of sequence.evaluate(prompt as Token[], { temperature: 0, yieldEogToken: true })) {
      ids.push(id)
      if (ids.length === NEW_TOKENS) break
    }
    written.push(ids)
  }
  await context.dispose()
  return { encode: text => model.tokenize(text), written }
}

/** How much likelier Heed finds its own token than theirs, as a difference of logits. */
function distance(model: CausalLm, ids: number[], own: number, other: number): number {
  const logits = tf.tidy(() => model.forward({ inputIds: [ids], logitsToKeep: 1 }).logits.dataSync<'float32'>())
  return logits[own]! - logits[other]!
}

async function verify(path: string, type: GgmlFloatType): Promise<boolean> {
  const tokenizer = await Tokenizer.fromPretrained(path)
  const model = await AutoModelForCausalLM.fromPretrained(path)
  const prompts = texts.map(text => [...tokenizer.encode(text).ids])
  const theirs = await llamaCpp(path, prompts)
  const faults: string[] = []
  for (const [i, prompt] of prompts.entries()) {
    const plain = [...tokenizer.encode(texts[i]!, { addSpecialTokens: false }).ids]
    const encoded = theirs.encode(texts[i]!)
    if (encoded.join() !== plain.join())
      faults.push(`ids of ${JSON.stringify(texts[i])} are ${encoded}, Heed has ${plain}`)
    const [ours] = await model.generate([prompt], { maxNewTokens: NEW_TOKENS, eosTokenId: -1 })
    const written = ours!.slice(prompt.length)
    const at = written.findIndex((id, place) => id !== theirs.written[i]![place])
    const count = at < 0 ? NEW_TOKENS : at
    const apart =
      at < 0 ? 0 : distance(model, [...prompt, ...written.slice(0, at)], written[at]!, theirs.written[i]![at]!)
    const parted = at < 0 ? '' : `, then a tie within ${apart.toFixed(4)}`
    if (!(apart <= nearTie[type]!))
      faults.push(`after ${JSON.stringify(texts[i])} and ${count} equal tokens logits are ${apart} apart`)
    else
      console.log(
        `  ${type}: ${count} of ${NEW_TOKENS} greedy tokens agree${parted}: ${JSON.stringify(tokenizer.decode(written.slice(0, 12)))}`,
      )
  }
  model.dispose()
  console.log(faults.length > 0 ? `FAIL ${folder} as ${type}: ${faults.join('; ')}` : `OK ${folder} as ${type}`)
  return faults.length === 0
}

const temporary = await mkdtemp(join(tmpdir(), 'heed-verify-'))
try {
  const checkpoint = await openPretrained(folder)
  const vocabulary = exportGgufVocabulary(await Tokenizer.fromPretrained(folder), Number(checkpoint.config.vocab_size))
  const results: boolean[] = []
  for (const type of Object.keys(nearTie) as GgmlFloatType[]) {
    const path = join(temporary, `${type}.gguf`)
    await writeGgufModel(path, checkpoint, { type, vocabulary })
    results.push(await verify(path, type))
  }
  process.exitCode = results.every(Boolean) ? 0 : 1
} finally {
  await rm(temporary, { recursive: true })
  await engine.dispose()
}
