import type { Activation } from '@heed/tensor-backend'
import type { Field } from './hf-config.ts'

type Keys = readonly [string, ...string[]]
type Fallback<T> = { fallback?: T | ((config: Record<string, unknown>) => T) }

const keysOf = (key: string | Keys): Keys => (typeof key === 'string' ? [key] : key)

const isSize = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0

/** A whole number of at least 1: a size or a count. */
export function size(key: string | Keys, options: Fallback<number> = {}): Field<number> {
  return {
    keys: keysOf(key),
    rule: 'a positive integer',
    isValid: isSize,
    ...options,
  }
}

/** A size that may be null, for one that does not apply. */
export function optionalSize(key: string | Keys): Field<number | null> {
  return {
    keys: keysOf(key),
    rule: 'a positive integer or null',
    isValid: value => value === null || isSize(value),
    fallback: null,
  }
}

/** A finite number within bounds, both included. */
export function real(
  key: string | Keys,
  { min, max, fallback }: { min: number; max?: number } & Fallback<number>,
): Field<number> {
  return {
    keys: keysOf(key),
    floatKeys: keysOf(key).slice(0, 1),
    rule: max === undefined ? `a finite number of at least ${min}` : `a number from ${min} to ${max}`,
    isValid: value =>
      typeof value === 'number' && Number.isFinite(value) && value >= min && value <= (max ?? Number.MAX_VALUE),
    ...(fallback !== undefined && { fallback }),
  }
}

/** A number above 0, or null for what does not apply. */
export function optionalReal(key: string, fallback: number | null): Field<number | null> {
  return {
    keys: [key],
    floatKeys: [key],
    rule: 'a number above 0 or null',
    isValid: value => value === null || (typeof value === 'number' && Number.isFinite(value) && value > 0),
    fallback,
  }
}

/** The rate of a dropout: from 0 to below 1. */
export function rate(key: string | Keys, fallback: number): Field<number> {
  return {
    keys: keysOf(key),
    floatKeys: keysOf(key).slice(0, 1),
    rule: 'a number from 0 to below 1',
    isValid: value => typeof value === 'number' && value >= 0 && value < 1,
    fallback,
  }
}

export function flag(key: string | Keys, fallback: boolean): Field<boolean> {
  return { keys: keysOf(key), rule: 'true or false', isValid: value => typeof value === 'boolean', fallback }
}

/** One of several strings: HF's spelling on the left, ours on the right. */
export function choice<T extends string>(
  key: string | Keys,
  spellings: Readonly<Record<string, T>>,
  options: Fallback<T> = {},
): Field<T> {
  return {
    keys: keysOf(key),
    rule: `one of ${Object.keys(spellings).join(', ')}`,
    isValid: value => typeof value === 'string' && Object.hasOwn(spellings, value),
    parse: value => spellings[value as string]!,
    format: value => Object.entries(spellings).find(([, ours]) => ours === value)?.[0] ?? value,
    ...options,
  }
}

/** What is the same in all models of a type, so that their config.json does not say it. */
export function constant<T>(value: T): Field<T> {
  return { keys: [], rule: JSON.stringify(value), isValid: given => given === value, fallback: value }
}

/** An activation by HF's name. */
export function activation(key: string | Keys, fallback: Activation): Field<Activation> {
  const names = { gelu: 'gelu', gelu_new: 'geluTanh', gelu_pytorch_tanh: 'geluTanh', relu: 'relu' } as const
  return choice<Activation>(key, { ...names, silu: 'silu', swish: 'silu' }, { fallback })
}

const isId = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

/** The id of a special token; null when there is none, which old files write as -1. */
export function tokenId(key: string, fallback: number | null = null): Field<number | null> {
  return {
    keys: [key],
    rule: 'a token id or null',
    isValid: value => value === null || value === -1 || isId(value),
    parse: value => (value === -1 ? null : (value as number | null)),
    fallback,
  }
}

/** One id or several, or null, that end a text; ours is a list. */
export function tokenIds(key: string, fallback: readonly number[] = []): Field<readonly number[]> {
  return {
    keys: [key],
    rule: 'a token id, a list of them or null',
    isValid: value => value === null || isId(value) || (Array.isArray(value) && value.every(isId)),
    parse: value => (Array.isArray(value) ? value : value === null ? [] : [value as number]),
    format: value => (value.length === 0 ? null : value.length === 1 ? value[0] : value),
    fallback,
  }
}

/** Names of the classes that a head tells apart, by id: HF's `id2label`, or `num_labels` and names made up as HF does. */
export const labelNames: Field<readonly string[]> = {
  keys: ['id2label', 'label2id', 'num_labels'],
  rule: 'an object with a name for each id from 0 on',
  find: ({ id2label, num_labels: count }) => {
    if (id2label) return { key: 'id2label', value: id2label }
    return count ? { key: 'num_labels', value: numberedLabels(count) } : undefined
  },
  isValid: value => {
    if (typeof value !== 'object' || value === null) return false
    const names = Object.values(value)
    return names.length > 0 && names.every((name, id) => typeof name === 'string' && Object.hasOwn(value, id))
  },
  parse: value => Object.values(value as Record<string, string>),
  entries: names => ({
    id2label: Object.fromEntries(names.entries()),
    label2id: Object.fromEntries(names.map((name, id) => [name, id])),
  }),
  fallback: ['LABEL_0', 'LABEL_1'],
}

function numberedLabels(count: unknown): unknown {
  return isSize(count) ? Array.from({ length: count as number }, (_, id) => `LABEL_${id}`) : count
}

/** What a sequence classifier is trained for; null lets the number of labels and their kind decide, as in HF. */
export const problemType: Field<ProblemType | null> = {
  keys: ['problem_type'],
  rule: 'null or one of regression, single_label_classification, multi_label_classification',
  isValid: value =>
    value === null ||
    ['regression', 'single_label_classification', 'multi_label_classification'].includes(value as string),
  fallback: null,
}

export type ProblemType = 'regression' | 'single_label_classification' | 'multi_label_classification'
