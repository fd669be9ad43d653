import { Tokenizer } from '@heed/tokenizer'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encoder, RunningServer, stories } from './running-server.ts'

let server: RunningServer
let client: OpenAI

beforeAll(async () => {
  server = await RunningServer.start([`stories=${stories}`, `bert=${encoder}`])
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 })
})
afterAll(() => server.stop())

const messages = [{ role: 'user' as const, content: 'Once upon a time' }]
const greedy = { model: 'stories', temperature: 0, max_tokens: 9 }
/** What transformers writes; the README shows it too. */
const story = ', there was a little girl named'

test('models are listed and found by name', async () => {
  const names: string[] = []
  for await (const { id } of client.models.list()) names.push(id)
  expect(names).toEqual(['stories', 'bert'])
  expect((await client.models.retrieve('bert')).id).toBe('bert')
  await expect(client.models.retrieve('nobody')).rejects.toThrow(OpenAI.NotFoundError)
})

describe('chat', () => {
  test('answers whole, and in a stream that says the same', async () => {
    const whole = await client.chat.completions.create({ ...greedy, messages })
    expect(whole.choices[0]).toMatchObject({
      message: { role: 'assistant', content: story },
      finish_reason: 'length',
    })
    expect(whole.usage).toMatchObject({ completion_tokens: 9 })
    const stream = await client.chat.completions.create({
      ...greedy,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    let last: OpenAI.ChatCompletionChunk | undefined
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      last = chunk
    }
    expect(text).toBe(story)
    expect(last!.usage).toEqual(whole.usage)
  })

  test('gives several answers, each with its own draws, which a seed repeats', async () => {
    const ask = async () => {
      const { choices } = await client.chat.completions.create({
        model: 'stories',
        messages,
        max_tokens: 12,
        n: 3,
        seed: 5,
      })
      return choices.map(({ message }) => message.content)
    }
    const first = await ask()
    expect(new Set(first).size).toBe(3)
    expect(await ask()).toEqual(first)
  })

  test('ends before a stop text, also where it comes in pieces', async () => {
    const { choices } = await client.chat.completions.create({ ...greedy, messages, stop: ['little g', 'nothing'] })
    expect(choices[0]).toMatchObject({ message: { content: ', there was a ' }, finish_reason: 'stop' })
  })

  test('refuses what would change nothing, and a model without a chat template', async () => {
    const ask = client.chat.completions.create({ ...greedy, messages, top_logprobs: 2 })
    await expect(ask).rejects.toThrow('400 top_logprobs is 2, expected "logprobs": true with it. Add it.')
    const old = client.chat.completions.create({ ...greedy, messages, functions: [{ name: 'f' }] })
    await expect(old).rejects.toThrow(
      /^400 functions is .*, expected tools, which came after them. Give them as tools.$/,
    )
    const best = client.completions.create({ ...greedy, prompt: 'Once', best_of: 3 })
    await expect(best).rejects.toThrow('400 best_of is 3, expected 1, as many as n. Ask for n and choose.')
    const plain = await RunningServer.start([`stories=${stories}`], [], false)
    const talk = new OpenAI({ baseURL: `${plain.url}/v1`, apiKey: 'any', maxRetries: 0 }).chat.completions
    await expect(talk.create({ ...greedy, messages })).rejects.toThrow(
      '400 the model has no chat template, expected one for messages. Ask /v1/completions to go on from a text, ' +
        'or start the server with --chat-template.',
    )
    await plain.stop()
  })

  test('gives log-probabilities of the tokens and of others in their place', async () => {
    const { choices } = await client.chat.completions.create({ ...greedy, messages, logprobs: true, top_logprobs: 2 })
    const content = choices[0]!.logprobs!.content!
    expect(content).toHaveLength(9)
    expect(content.map(({ token }) => token).join('')).toBe(story)
    for (const { token, logprob, bytes, top_logprobs } of content) {
      expect(top_logprobs[0]).toEqual({ token, logprob, bytes })
      expect(top_logprobs[1]!.logprob).toBeLessThan(logprob)
    }
  })

  test('keeps to a JSON schema', async () => {
    const schema = {
      type: 'object',
      properties: { animal: { enum: ['cat', 'dog'] }, legs: { type: 'integer', minimum: 1, maximum: 4 } },
      required: ['animal', 'legs'],
    }
    const { choices } = await client.chat.completions.create({
      ...greedy,
      max_tokens: 100,
      messages,
      response_format: { type: 'json_schema', json_schema: { name: 'pet', schema, strict: true } },
    })
    const pet = JSON.parse(choices[0]!.message.content!)
    expect(['cat', 'dog']).toContain(pet.animal)
    expect([1, 2, 3, 4]).toContain(pet.legs)
  })

  test('calls the tool it must call, whole and in a stream', async () => {
    const parameters = { type: 'object', properties: { city: { enum: ['Oslo', 'Rome'] } }, required: ['city'] }
    const request = {
      ...greedy,
      max_tokens: 100,
      messages,
      tools: [{ type: 'function' as const, function: { name: 'weather', parameters } }],
      tool_choice: 'required' as const,
    }
    const { choices } = await client.chat.completions.create(request)
    const [call] = choices[0]!.message.tool_calls!
    expect(choices[0]!.finish_reason).toBe('tool_calls')
    expect(choices[0]!.message.content).toBe(null)
    expect(call).toMatchObject({ type: 'function', function: { name: 'weather' } })
    const given = (call as { function: { arguments: string } }).function.arguments
    expect(['Oslo', 'Rome']).toContain(JSON.parse(given).city)
    const streamed = await client.chat.completions.stream(request).finalChatCompletion()
    expect(streamed.choices[0]!.message.tool_calls![0]).toMatchObject({
      function: { name: 'weather', arguments: given },
    })
  })

  test('keeps to a tool whose schema refers to its own definitions', async () => {
    const parameters = {
      type: 'object',
      properties: { default: { $ref: '#/$defs/city' }, next: { anyOf: [{ $ref: '#' }, { type: 'null' }] } },
      required: ['default', 'next'],
      $defs: { city: { enum: ['Oslo', 'Rome'] } },
    }
    const other = { type: 'function' as const, function: { name: 'other' } }
    const { choices } = await client.chat.completions.create({
      ...greedy,
      max_tokens: 200,
      messages,
      tools: [other, { type: 'function', function: { name: 'travel', parameters } }],
      tool_choice: { type: 'function', function: { name: 'travel' } },
    })
    const [call] = choices[0]!.message.tool_calls!
    expect(call).toMatchObject({ function: { name: 'travel' } })
    const given = JSON.parse((call as { function: { arguments: string } }).function.arguments)
    expect(['Oslo', 'Rome']).toContain(given.default)
    expect(Object.keys(given)).toEqual(['default', 'next'])
  })
})

describe('completions', () => {
  test('go on from texts and from ids, whole and in a stream', async () => {
    const prompt = 'Once upon a time'
    const { choices } = await client.completions.create({ ...greedy, prompt: [prompt, 'The cat'], echo: true })
    expect(choices.map(({ text }) => text)[0]).toBe(prompt + story)
    expect(choices[1]!.text).toMatch(/^The cat/)
    let text = ''
    for await (const chunk of await client.completions.create({ ...greedy, prompt, stream: true })) {
      text += chunk.choices[0]!.text
    }
    expect(text).toBe(story)
    const { choices: byIds } = await client.completions.create({ ...greedy, prompt: [1, 403, 407], max_tokens: 1 })
    expect(byIds).toHaveLength(1)
  })

  test('give log-probabilities and where each token begins', async () => {
    const { choices } = await client.completions.create({ ...greedy, prompt: 'Once upon a time', logprobs: 2 })
    const { tokens, token_logprobs, text_offset } = choices[0]!.logprobs!
    expect(tokens!.join('')).toBe(story)
    expect(token_logprobs!.every(value => value! < 0)).toBe(true)
    expect(text_offset!.map(at => story.slice(at, at + 1))).toEqual(tokens!.map(token => token.slice(0, 1)))
  })
})

test.each(['stories', 'bert'])('embeddings of %s are of length 1, the same as numbers and as bytes', async model => {
  const input = ['anna in paris', 'a dog']
  const bytes = await client.embeddings.create({ model, input }) // the client asks for base64
  const numbers = await client.embeddings.create({ model, input, encoding_format: 'float' })
  expect(bytes.data.map(({ index }) => index)).toEqual([0, 1])
  expect(Math.hypot(...numbers.data[1]!.embedding)).toBeCloseTo(1, 5)
  expect(bytes.data[1]!.embedding.map(Math.fround)).toEqual(numbers.data[1]!.embedding.map(Math.fround))
  expect(bytes.usage.total_tokens).toBeGreaterThan(3)
})

test('an embedding of token ids is that of their text, and too long a text is refused', async () => {
  const ids = [...(await Tokenizer.fromPretrained(encoder)).encode('anna in paris').ids]
  const ask = (input: number[] | string) => client.embeddings.create({ model: 'bert', input, encoding_format: 'float' })
  const [ofText, ofIds] = [await ask('anna in paris'), await ask(ids)]
  expect(ofIds).toEqual(ofText)
  expect(ofIds.usage.prompt_tokens).toBe(ids.length)
  await expect(ask('anna '.repeat(3000))).rejects.toThrow(
    /^400 a text of input has \d+ tokens, expected 1 to \d+, which the model reads\. Change it\.$/,
  )
})

describe('a request that is wrong', () => {
  const chat = (change: object) =>
    client.chat.completions.create({ ...greedy, messages, ...change } as OpenAI.ChatCompletionCreateParamsNonStreaming)

  test.each([
    [{ model: 'gpt-4' }, 404, '404 model is "gpt-4", expected one of "stories", "bert". See /v1/models.'],
    [{ temperature: 9 }, 400, '400 temperature is 9, expected a number from 0 to 2. Change it.'],
    [{ max_tokens: 0 }, 400, '400 max_tokens is 0, expected a whole number of at least 1. Change it.'],
    [{ messages: [] }, 400, '400 messages is [], expected at least one message. Say something.'],
    [
      { messages: [{ role: 'cook', content: 'a' }] },
      400,
      '400 messages[0].role is "cook", expected "system" or "developer" or "user" or "assistant" or "tool". Change it.',
    ],
    [
      { messages: [{ role: 'user', content: 'word '.repeat(600) }] },
      400,
      /^400 the prompt has \d+ tokens, expected less than the 512 of the model's context\. Shorten it\.$/,
    ],
    [{ model: 'bert' }, 400, '400 model "bert" writes no text, expected a language model. Ask it for embeddings.'],
    [
      { logit_bias: { 99999: 5 } },
      400,
      '400 logit_bias has token 99999, expected ids below the 512 of the vocabulary. Leave it out.',
    ],
  ])('gets its status and says what to mend: case %#', async (change, status, message) => {
    const error = await chat(change).catch(error => error)
    expect(error).toBeInstanceOf(OpenAI.APIError)
    expect(error.status).toBe(status)
    if (typeof message === 'string') expect(error.message).toBe(message)
    else expect(error.message).toMatch(message)
  })
})
