import { fileURLToPath } from 'node:url'
import { activate, splitHeads } from '@heed/layers'
import { attentionWithWeights, readSafetensors, tf } from '@heed/tensor-backend'
import { AutoModelForCausalLM, type Gpt2LMHeadModel, gpt2Architectures, registerArchitecture } from '@heed/transformer'
import { testOnBackends } from '@heed/transformer/testing'
import { expect } from 'vitest'

const folder = fileURLToPath(new URL('fixtures/mingpt-sorter', import.meta.url))
const tolerance = { atol: 2e-5, rtol: 1e-4 }

/** Every value of minGPT's forward pass by its name there; what comes before `block0` belongs to the first block. */
function partialsOf({ transformer, lmHead }: Gpt2LMHeadModel, ids: tf.Tensor2D): Record<string, tf.Tensor> {
  const [, seqLen] = ids.shape
  const { ln1, attn, ln2, mlp } = transformer.h[0]!
  const tokens = transformer.wte.forward(ids)
  const positions = transformer.wpe.forward(tf.range(0, seqLen, 1, 'int32').expandDims(0))
  const x = tf.add(tokens, positions)
  const normed = ln1.forward(x)
  const qkv = attn.cAttn.forward(normed)
  const [q, k, v] = tf.split(qkv, 3, -1).map(part => splitHeads(part, 3)) as [tf.Tensor, tf.Tensor, tf.Tensor]
  const heads = (y: tf.Tensor): tf.Tensor => tf.transpose(y, [0, 2, 1, 3]) // [batch, numHeads, seqLen, headDim], as minGPT has them
  const { output, weights } = attentionWithWeights(q, k, v, { isCausal: true, scale: attn.scale })
  const mixed = output.reshape(x.shape)
  const projected = attn.cProj.forward(mixed)
  const attended = tf.add(x, projected)
  const normedAgain = ln2.forward(attended)
  const wide = mlp.cFc.forward(normedAgain)
  const active = activate(wide, mlp.config.hiddenAct)
  const narrow = mlp.cProj.forward(active)
  let y = x
  const blocks = transformer.h.map(block => {
    y = block.forward(y, { isCausal: true })
    return y
  })
  const last = transformer.lnF.forward(y)
  const scores = lmHead.forward(last)
  return {
    tok_emb: tokens,
    pos_emb: positions,
    x,
    ln1: normed,
    qkv,
    q: heads(q),
    k: heads(k),
    v: heads(v),
    att: tf.mul(tf.matMul(heads(q), heads(k), false, true), attn.scale),
    attSm: weights,
    y: mixed,
    yProj: projected,
    attnResid: attended,
    ln2: normedAgain,
    fc: wide,
    gelu: active,
    mlp: narrow,
    mlpResid: tf.add(attended, narrow),
    block0: blocks[0]!,
    block1: blocks[1]!,
    block2: blocks[2]!,
    ln_f: last,
    lm_head: scores,
    probs: tf.softmax(scores),
  }
}

testOnBackends("minGPT's sorter, loaded as GPT-2, has all its activations and sorts", async () => {
  registerArchitecture(...gpt2Architectures)
  const model = (await AutoModelForCausalLM.fromPretrained(folder)) as Gpt2LMHeadModel
  const { idx, ...wanted } = await readSafetensors(`${folder}/partials.safetensors`)
  const before = tf.memory().numTensors
  tf.tidy(() => {
    const ids = idx!.toInt() as tf.Tensor2D
    const ours = partialsOf(model, ids)
    expect(Object.keys(ours).sort()).toEqual(Object.keys(wanted).sort())
    for (const [name, value] of Object.entries(ours)) {
      const theirs = wanted[name]!.dataSync()
      // Scores of later tokens, which nobody sees, are -Infinity there.
      const found = value.dataSync().map((score, i) => (Number.isFinite(theirs[i]) ? score : theirs[i]!))
      expect(found, name).toBeAllclose(theirs, tolerance)
    }
    const { logits, hiddenStates, attentions } = model.forward({
      inputIds: ids,
      outputHiddenStates: true,
      outputAttentions: true,
    })
    expect(logits.dataSync()).toBeAllclose(wanted.lm_head!.dataSync(), tolerance)
    expect(attentions![0]!.dataSync()).toBeAllclose(wanted.attSm!.dataSync(), tolerance)
    for (const [i, name] of ['x', 'block0', 'block1', 'ln_f'].entries()) {
      expect(hiddenStates![i]!.dataSync(), name).toBeAllclose(wanted[name]!.dataSync(), tolerance)
    }
  })
  const attentionMask = [Array<number>(6).fill(1)]
  for (const digits of [
    [2, 0, 1, 1, 0, 2],
    [1, 1, 2, 0, 0, 0],
    [0, 2, 2, 1, 0, 1],
  ]) {
    const [sorted] = await model.generate([digits], { maxNewTokens: 6, attentionMask })
    expect(sorted!.slice(6)).toEqual(digits.toSorted())
  }
  expect(tf.memory().numTensors).toBe(before)
  model.dispose()
  tf.dispose([idx!, wanted])
}, ['native', 'wasm'])
