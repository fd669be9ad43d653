import { afterEach, expect, vi } from 'vitest'
import { type ChatMessage, renderChat } from '../../src/chat-template.ts'
import { readSharedJson, testWith } from './shared-data.ts'

interface Vector {
  readonly chat_template: string
  readonly data: {
    readonly messages: readonly ChatMessage[]
    readonly tools?: readonly Readonly<Record<string, unknown>>[]
    readonly documents?: readonly Readonly<Record<string, unknown>>[]
    readonly add_generation_prompt?: boolean
    readonly [variable: string]: unknown
  }
  readonly target: string
}

// It prints a list of tools, which is written here as huggingface.js does, in JSON, and not as Python has it.
const notOfPython = 'MadeAgents/Hammer2.1'

const path = 'D/huggingface+huggingface.js/jinja_chat_templates.json'

afterEach(() => {
  vi.useRealTimers()
})

testWith([path], 'the chat templates of huggingface.js give the texts that transformers gave', () => {
  vi.useFakeTimers({ now: new Date(2025, 6, 10), toFake: ['Date'] }) // one template writes the date
  const groups = readSharedJson<Record<string, Record<string, Vector>>>(path)
  const vectors = Object.values(groups).flatMap(group => Object.entries(group).filter(([, { data }]) => data))
  expect(vectors.length).toBe(53)
  const rendered = vectors.map(([name, { chat_template, data }]) => {
    const { messages, tools, documents, add_generation_prompt, ...rest } = data
    // transformers always says whether to add the prompt; here it was left out where the data leave it out.
    const variables = { ...rest, add_generation_prompt }
    const options = { chatTemplate: chat_template, variables, ...(tools && { tools }), ...(documents && { documents }) }
    return [name, renderChat(messages, {}, options).text]
  })
  const isOfPython = ([name]: readonly unknown[]): boolean => name !== notOfPython
  expect(rendered.filter(isOfPython)).toEqual(vectors.map(([name, { target }]) => [name, target]).filter(isOfPython))
})
