/** What the tasks take: each option and input is checked before the model sees it. */
import { checkOptionNames } from '@heed/tensor-backend'
import { generateOptionNames } from '../generation/conflicts.ts'
import type { GenerateOptions } from '../generation/plan.ts'
import { invalidArgument } from '../invalid-argument.ts'

/** What a value must be, and how to mend one that is not. */
export interface Rule {
  text: string
  holds(value: unknown): boolean
  mend?: string
}

export type Rules<Options> = { readonly [Name in keyof Options]-?: Rule }

const isText = (value: unknown): value is string => typeof value === 'string'
const isTextList = (value: unknown): boolean => Array.isArray(value) && value.every(isText)

export const anything: Rule = { text: 'anything', holds: () => true }
export const count: Rule = {
  text: 'a positive integer',
  holds: value => Number.isSafeInteger(value) && Number(value) > 0,
}
export const countOrNone: Rule = {
  text: 'an integer of at least 0',
  holds: value => Number.isSafeInteger(value) && Number(value) >= 0,
}
export const countOrAll: Rule = {
  text: 'a positive integer, or null for all',
  holds: value => value === null || count.holds(value),
}
export const flag: Rule = { text: 'true or false', holds: value => typeof value === 'boolean' }
export const text: Rule = { text: 'a text', holds: isText }
export const texts: Rule = { text: 'a list of texts', holds: isTextList }
export const textOrTexts: Rule = {
  text: 'a text or a list of at least one',
  holds: value => (isText(value) && value !== '') || (isTextList(value) && (value as unknown[]).length > 0),
}

export function oneOf(...choices: readonly string[]): Rule {
  return { text: `one of ${choices.join(', ')}`, holds: value => choices.includes(value as string) }
}

const noOutput: Rule = {
  text: 'none in a pipeline, which gives texts',
  holds: value => value === false,
  mend: "Call the model's own generate for it.",
}

/** Those of `generate`, which checks their values itself. */
export const generateOptions: Rules<GenerateOptions> = {
  ...(Object.fromEntries(generateOptionNames.map(name => [name, anything])) as Rules<GenerateOptions>),
  returnDictInGenerate: noOutput,
  outputScores: noOutput,
  outputLogits: noOutput,
}

/** Throws HEED_ARGUMENT_INVALID at the first option that is unknown or breaks its rule. */
export function checkOptions(task: string, rules: Readonly<Record<string, Rule>>, options: object): void {
  checkOptionNames(task, options, Object.keys(rules))
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    const { text, holds, mend = 'Change it or leave it out.' } = rules[name]!
    if (!holds(value)) throw invalidArgument(task, name, value, text, mend)
  }
}
