import { expect, test } from 'vitest'
import { samplePrompt } from '../src/worker/sample-prompt.ts'

test.each([
  ['First Citizen:\nBefore we proceed', 'First Citizen:\n'],
  ['\n  \nOnce\r\nmore', 'Once\r\n'],
  ['no line ends here', 'no line ends here'],
  ['one two three four five six seven eight nine ten\n', 'one two three four five six seven eight'],
  [`${'a'.repeat(39)} word after word`, 'a'.repeat(39)],
  ['从前有一个小女孩'.repeat(9), '从前有一个小女孩'.repeat(5)],
  ['🙂'.repeat(50), '🙂'.repeat(40)],
])('of %j the prompt is %j', (text, prompt) => {
  expect(samplePrompt(text)).toBe(prompt)
})
