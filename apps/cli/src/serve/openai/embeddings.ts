import type { Inference } from '../inference/inference.ts'
import type { RequestContext } from './request-context.ts'
import type { RequestFields } from './request-fields.ts'
import { readTexts } from './texts.ts'

/** POST /v1/embeddings. Throws RequestError. */
export async function embeddings(
  inference: Inference,
  fields: RequestFields,
  { signal, onTokens }: RequestContext,
): Promise<object> {
  const model = fields.required('model', fields.text('model'))
  const isBase64 = fields.choice('encoding_format', ['float', 'base64']) === 'base64'
  const dimensions = fields.integer('dimensions', 1)
  const inputs = readTexts(fields, 'input')
  inference.checkRoom()
  const { vectors, promptTokens } = await inference.embed({ model, inputs }, signal)
  const size = vectors[0]!.length
  if (dimensions !== undefined && dimensions !== size) {
    throw fields.invalid('dimensions', `${size}, as many as the model has`, 'Leave it out.')
  }
  onTokens('prompt', promptTokens)
  return {
    object: 'list',
    model,
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: isBase64
        ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
        : [...vector],
    })),
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  }
}
