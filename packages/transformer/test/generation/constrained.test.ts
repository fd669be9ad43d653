import { readFileSync } from 'node:fs'
import { init, isHeedError } from '@heed/tensor-backend'
import { Tokenizer } from '@heed/tokenizer'
import { Constraint, type GenerateOptions, Gpt2LMHeadModel, type JsonSchema } from '@heed/transformer'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { tinyGpt2Config } from '../tiny-gpt2.ts'

const fixture = new URL('../fixtures/stop-strings.json', import.meta.url)
const tokenizers: { name: string; tokenizer: never }[] = JSON.parse(readFileSync(fixture, 'utf8'))
const tokenizer = Tokenizer.fromJSON(tokenizers[0]!.tokenizer) // all bytes, and some words
const END = tokenizer.tokenToId('<|end|>')!

const messageOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (isHeedError(error)) return `${error.code} ${error.message}`
    throw error
  }
  throw new Error('expected a HeedError')
}

const grammar = (source: string): Constraint => Constraint.fromGrammar(source, tokenizer)
const schema = (value: JsonSchema): Constraint => Constraint.fromJsonSchema(value, tokenizer)

beforeAll(() => init({ backend: 'wasm' }))

describe('a grammar', () => {
  test.each<[string, string, string[], string[]]>([
    [
      'literals and alternatives',
      'root ::= "yes" | "no" " way"?',
      ['yes', 'no', 'no way'],
      ['', 'ye', 'no w', 'yes no'],
    ],
    [
      'rules that call each other, comments, several lines',
      '# sums\nroot ::= term\n  ("+" term)* # more\nterm ::= [0-9]+ | "(" root ")"\n',
      ['1', '12+3', '(1+2)+((3))'],
      ['+', '1+', '(1', ')'],
    ],
    ['an alternative on a new line', 'root ::= "a"\n | "b"\nother ::= "c"', ['a', 'b'], ['c', 'ab']],
    ['bounds', 'root ::= [a-c]{2,3} "-"{2} .{1,}', ['ab--x', 'abc--東京'], ['a--x', 'abca--x', 'ab-x', 'ab--']],
    [
      'escapes and classes that are turned around',
      'root ::= [^"\\n\\x41]+ "\\u6771"',
      ['ab東', '🙂東'],
      ['A東', '"東', 'ab'],
    ],
    ['recursion at the end', 'root ::= "x" root | "."', ['.', 'xxxx.'], ['xx', 'x..']],
  ])('of %s accepts what it describes and nothing else', (_, source, right, wrong) => {
    const constraint = grammar(source)
    for (const text of right) expect(constraint.accepts(text), text).toBe(true)
    for (const text of wrong) expect(constraint.accepts(text), text).toBe(false)
  })

  test('of great depth and length keeps pace', () => {
    const nested = grammar('root ::= "(" root ")" | "x"')
    expect(nested.accepts(`${'('.repeat(3000)}x${')'.repeat(3000)}`)).toBe(true)
    expect(grammar('root ::= item ("," item)*\nitem ::= [a-z]+').accepts(`${'abc,'.repeat(20_000)}z`)).toBe(true)
  })

  test.each([
    ['root = "a"', 'grammar: line 1 has "=", expected ::=. Mend the grammar.'],
    [
      'root ::= "a"\nroot ::= "b"',
      'grammar: line 2 has "::=", expected another name: root is a rule already. Mend the grammar.',
    ],
    ['root ::= ("a"', 'grammar: line 1 has "the end", expected ). Mend the grammar.'],
    ['root ::= "\\q"', 'grammar: line 1 has "\\"", expected an escape such as \\n or \\x41. Mend the grammar.'],
    ['a ::= "a"', 'grammar: there is no rule root, expected one to begin with. Add it.'],
    ['root ::= a', 'grammar: rule root names a, expected a rule that there is. Add it.'],
    [
      'root ::= a? root "b"\na ::= "a"',
      'grammar: rule root begins with itself (root -> root), expected something before it. Turn the recursion around.',
    ],
    [
      'root ::= (("a"{999}){999}){9}',
      'grammar: it has more than 100000 places, expected fewer. Lower the bounds of its repetitions.',
    ],
  ])('%j is refused', (source, message) => {
    expect(messageOf(() => grammar(source))).toBe(`HEED_ARGUMENT_INVALID ${message}`)
  })
})

describe('a regular expression', () => {
  test.each([
    /^[a-c]+x?\d{2,3}$/u,
    /^(?:ab|[^a-y])*(?<n>\u{1F642}|東)$/u,
    /^\w+@\w+\.(com|org)$/u,
    /b.d/u,
    /^\s?\S\D$/u,
  ])('%s accepts what JavaScript matches', pattern => {
    const constraint = Constraint.fromRegex(pattern, tokenizer)
    const near = fc.stringMatching(pattern)
    const far = fc.string({ unit: fc.constantFrom(...'abcxyd19 @.\n東🙂') })
    fc.assert(
      fc.property(fc.oneof(near, far), text => {
        expect(constraint.accepts(text)).toBe(pattern.test(text))
      }),
    )
  })

  test.each([
    ['(', 'is not one (Invalid regular expression: /(/u: Unterminated group)'],
    ['a(?=b)', 'looks around'],
    ['(a)\\1', 'has \\1'],
    ['a^b', 'has an anchor in its midst'],
    ['^a|b', 'anchors one of its alternatives only; put the alternatives in (?:...)'],
  ])('%j is refused', (source, reason) => {
    expect(messageOf(() => Constraint.fromRegex(source, tokenizer))).toBe(
      `HEED_ARGUMENT_INVALID regex: ${JSON.stringify(source)} ${reason}, expected a regular expression without look-around and ` +
        'back-references.',
    )
  })
})

test.each([/abc/i, /^.$/s, /^a$/m])('the flag of the regular expression %s is refused', pattern => {
  expect(messageOf(() => Constraint.fromRegex(pattern, tokenizer))).toBe(
    `HEED_ARGUMENT_INVALID regex: ${pattern} has the flag ${pattern.flags}, expected none but d, g and u. ` +
      'Write what it means into the pattern, such as [Aa] for i.',
  )
})

const person: JsonSchema = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 8 },
    age: { type: 'integer', minimum: 0, exclusiveMaximum: 120 },
    code: { type: 'string', pattern: '^[A-Z]{2}"\\d$' },
    born: { type: 'string', format: 'date' },
    kind: { enum: ['a', 2, null] },
    tags: { type: 'array', items: { type: ['boolean', 'null'] }, minItems: 1, maxItems: 3 },
    children: { type: 'array', items: { $ref: '#' }, maxItems: 2 },
    place: { anyOf: [{ $ref: '#/$defs/point' }, { const: 'nowhere' }] },
  },
  required: ['age', 'tags'],
  additionalProperties: false,
  $defs: {
    point: { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'number' }], items: false, minItems: 2 },
  },
}

describe('a JSON schema', () => {
  const ajv = new Ajv2020({ formats: { date: true } })

  test('of anything accepts what JSON.parse reads, and no beginning of what it does not', () => {
    const constraint = schema(true)
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(undefined, 1, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        fc.pre(!text.includes('e+308')) // left out, since a mantissa could lead beyond all doubles
        expect(constraint.accepts(text), text).toBe(true)
        if (typeof value === 'object' && value !== null) expect(constraint.accepts(text.slice(0, -1))).toBe(false)
      }),
    )
    for (const text of ['01', '{"a" 1}', '[1,]', "'a'", '"\n"', '{a', 'nul1', '+1']) {
      expect(constraint.acceptsBeginning(text), text).toBe(false)
    }
  })

  test('of integers accepts those between the bounds', () => {
    const number = fc.integer({ min: -1200, max: 1200 })
    fc.assert(
      fc.property(number, number, number, (a, b, value) => {
        const [minimum, maximum] = [Math.min(a, b), Math.max(a, b)]
        const constraint = schema({ type: 'integer', minimum, maximum })
        for (const x of [value, minimum, maximum, minimum - 1, maximum + 1]) {
          expect(constraint.accepts(String(x)), `${x} in ${minimum}..${maximum}`).toBe(minimum <= x && x <= maximum)
        }
      }),
    )
    const open = schema({ type: 'integer', exclusiveMinimum: 41.5 })
    expect([41, 42, 100, 987654321].map(x => open.accepts(String(x)))).toEqual([false, true, true, true])
  })

  test('with members, ones that may lack and ones of other names, accepts what a validator does', () => {
    const open: JsonSchema = {
      type: 'object',
      properties: { ab: { const: 1 }, abc: { type: 'boolean' }, z: true },
      required: ['abc', 'y'],
      additionalProperties: { type: 'integer' },
    }
    const constraint = schema(open)
    const keys = ['ab', 'abc', 'z', 'y', 'a', 'abcd', 'x']
    const values = [1, true, null]
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...keys), fc.constantFrom(...values))), members => {
        const object = Object.fromEntries(members)
        const ordered = Object.fromEntries(keys.filter(key => key in object).map(key => [key, object[key]]))
        expect(constraint.accepts(JSON.stringify(ordered))).toBe(ajv.validate(open, ordered))
      }),
    )
  })

  test.each<[JsonSchema, unknown[]]>([
    [{ type: ['string', 'integer'], enum: ['a', 5, 1.5, null] }, ['a', 5, 1.5, null]],
    [{ enum: [1, 2], const: 2 }, [1, 2]],
    [{ type: 'integer', minimum: 5, anyOf: [{ minimum: 0 }, { maximum: 9 }] }, [3, 7, 12]],
    [{ type: ['integer', 'null'], anyOf: [{ type: 'number' }, { enum: [null, 'a'] }] }, [1, null, 'a']],
    [
      {
        type: 'object',
        properties: { kind: { type: 'string' } },
        required: ['kind'],
        anyOf: [{ properties: { x: { type: 'integer' } }, required: ['x'] }, true],
      },
      [{ kind: 'a', x: 1 }, { x: 1 }, { kind: 'a' }, { kind: 'a', x: 1 }],
    ],
    [{ type: 'string', minLength: 2 }, ['ab', 'a', '\ud83d\ude00', '\ud83d\ude00b']],
  ])('%j, of keywords beside each other, accepts what a validator does', (value, examples) => {
    const constraint = schema(value)
    for (const example of examples) {
      const text = JSON.stringify(example)
      const escaped = text.replaceAll(/[\ud800-\udfff]/g, unit => `\\u${unit.charCodeAt(0).toString(16)}`)
      for (const form of [text, escaped]) {
        expect(constraint.accepts(form), form).toBe(new Ajv2020({ strict: false }).validate(value, example))
      }
    }
  })

  test.each<[JsonSchema, string]>([
    [false, '# is false, expected a schema: an object, or true. Write true for any value.'],
    [
      { type: 'text' },
      '#/type is "text", expected object, array, string, integer, number, boolean, null. Choose one, or a list of them.',
    ],
    [
      { type: 'object', properties: { a: { type: 'number', multipleOf: 3 } } },
      '#/properties/a/multipleOf is 3, expected no such keyword: it cannot be kept while a text is written. Leave it out, and check the value once it is written.',
    ],
    [
      { $ref: '#/$defs/a' },
      '#/$ref is "#/$defs/a", expected a place within the schema, such as "#/$defs/name". Write the schema that is meant there.',
    ],
    [
      { type: 'integer', minimum: 3, maximum: 2 },
      '#/maximum is 2, expected at least the minimum, 3. Change one of the two.',
    ],
    [
      { type: 'array', minItems: -1 },
      '#/minItems is -1, expected an integer of at least 0. Change it or leave it out.',
    ],
    [
      { type: 'object', properties: {}, required: ['a'], additionalProperties: false },
      '#/required is "a", expected a name that properties holds. Add it there, or leave it out here.',
    ],
    [
      { $ref: 'value' },
      '#/$ref is "value", expected a place within the schema, such as "#/$defs/name". Write the schema that is meant there.',
    ],
    [
      { $ref: '#/a', maximum: 3, a: true },
      '#/maximum is 3, expected none beside $ref: the two cannot be kept together. Leave one of the two out.',
    ],
    [
      { enum: [] },
      '#/enum is [], expected a value that the keywords beside it allow. Add one, or change those keywords.',
    ],
    [
      { type: 'string', const: 5 },
      '#/const is 5, expected a value that the keywords beside it allow. Add one, or change those keywords.',
    ],
    [
      { enum: ['a'], pattern: 'b' },
      '#/pattern is "b", expected none beside enum: the two cannot be kept together. Leave one of the two out.',
    ],
    [{ anyOf: [] }, '#/anyOf is [], expected a list of schemas. Give at least one.'],
    [{ anyOf: [true], oneOf: [true] }, '#/oneOf is [true], expected none beside anyOf. Leave one of the two out.'],
    [
      { type: 'object', required: ['a'], anyOf: [{ $ref: '#/$defs/a' }], $defs: { a: true } },
      '#/anyOf/0/$ref is "#/$defs/a", expected none where keywords stand beside the list. Move those keywords into the schema that it names.',
    ],
    [
      { type: 'string', anyOf: [{ type: 'null' }] },
      '#/anyOf/0/type is "null", expected one of string, as beside the list. Leave this schema, or the other type, out.',
    ],
    [
      { properties: { a: true }, additionalProperties: false, anyOf: [{ properties: { b: true } }] },
      '#/anyOf/0/additionalProperties is false, expected none where properties stand in two places. Write all properties in one place.',
    ],
    [
      { properties: { a: { type: 'null' } }, anyOf: [{ properties: { a: true } }] },
      '#/anyOf/0/properties/a is true, expected the {"type":"null"} beside the list. Make the two equal, or leave one out.',
    ],
    [
      { type: 'array', items: false, minItems: 2 },
      '#/minItems is 2, expected at most the 0 of prefixItems, as items is false. Lower it, or give items a schema.',
    ],
    [
      { type: 'array', minItems: 3, maxItems: 2 },
      '#/maxItems is 2, expected at least minItems, 3. Change one of the two.',
    ],
    [
      { type: 'string', minLength: 3, maxLength: 2 },
      '#/maxLength is 2, expected at least minLength, 3. Change one of the two.',
    ],
    [{ type: 'object', required: 'a' }, '#/required is "a", expected a list of names. Write ["name"].'],
    [{ type: 'object', properties: [] }, '#/properties is [], expected an object of schemas. Write {"name": schema}.'],
    [
      { type: ['integer', 'number'], minimum: 3 },
      '#/minimum is 3, expected no such keyword: it cannot be kept while a text is written. Leave it out, and check the value once it is written.',
    ],
  ])('%j is refused', (value, message) => {
    expect(messageOf(() => schema(value))).toBe(`HEED_ARGUMENT_INVALID json schema: ${message}`)
  })
})

describe('generation', () => {
  let model: Gpt2LMHeadModel
  beforeAll(() => {
    model = new Gpt2LMHeadModel({ ...tinyGpt2Config, vocabSize: 300, maxPositionEmbeddings: 400 }, { seed: 4 })
  })
  const options = { maxNewTokens: 300, eosTokenId: END, padTokenId: END }
  const write = async (constraint: Constraint, more: GenerateOptions = {}): Promise<string> => {
    const [ids] = await model.generate([[40, 41]], { ...options, ...more, constraint })
    return tokenizer.decode(ids!.slice(2))
  }

  test('writes JSON that a validator accepts, greedy, drawing and with beams', async () => {
    const ajv = new Ajv2020({ formats: { date: true } })
    const constraint = schema(person)
    const variants: GenerateOptions[] = [
      {},
      { numBeams: 2 },
      ...[1, 2].map(seed => ({ doSample: true, topK: 0, seed })),
    ]
    for (const more of variants) {
      const text = await write(constraint, more)
      expect(ajv.validate(person, JSON.parse(text)), text).toBe(true)
    }
  })

  test('allows exactly the tokens after which the text can go on', () => {
    const constraint = schema(person)
    const text = '{"name":"東","age": 1'
    const prompt = [40]
    const ids = [...prompt, ...tokenizer.encode(text).ids]
    for (let length = prompt.length; length <= ids.length; length++) {
      const scores = new Float32Array(300)
      constraint.processor(1, [END])(scores, ids.slice(0, length), 0)
      const before = tokenizer.decode(ids.slice(1, length))
      if (before.endsWith('\ufffd')) continue // within a character
      for (let id = 0; id < 300; id++) {
        const after = tokenizer.decode([...ids.slice(1, length), id])
        if (id === END || after.includes('\ufffd')) continue
        expect(scores[id] === 0, `${before} and ${after}`).toBe(constraint.acceptsBeginning(after))
      }
    }
  })

  test('ends where nothing may follow, and stays within with drafts', async () => {
    const constraint = grammar('root ::= "yes, " [a-z]{3} "!"')
    const text = await write(constraint)
    expect(text).toMatch(/^yes, [a-z]{3}!$/)
    expect(await write(constraint, { promptLookupNumTokens: 4 })).toBe(text)
    expect(await write(constraint, { assistantModel: model })).toBe(text)
  })

  test.each<[GenerateOptions, string]>([
    [{ noRepeatNgramSize: 1 }, 'constraint or noRepeatNgramSize'],
    [{ suppressTokens: [...tokenizer.encode('e').ids] }, 'constraint or suppressTokens'],
    [{ prefixAllowedTokensFn: () => [...tokenizer.encode('y').ids] }, 'constraint or prefixAllowedTokensFn'],
    [{ minNewTokens: 20 }, 'constraint or minNewTokens'],
  ])('beside %o, which forbids what the grammar needs, is refused', async (more, names) => {
    const constraint = grammar('root ::= "y" "e" "e"')
    for (const choice of [{}, { doSample: true }, { numBeams: 2 }, { promptLookupNumTokens: 3 }]) {
      await expect(write(constraint, { ...more, ...choice })).rejects.toThrow(
        new RegExp(`every token is forbidden after .* Change or leave out ${names}\\.$`),
      )
    }
  })

  test('begins after a token that is forced at first', async () => {
    const constraint = grammar('root ::= "yes"')
    const [ids] = await model.generate([[40]], { ...options, forcedBosTokenId: 41, constraint })
    expect(ids!.slice(0, 2)).toEqual([40, 41])
    expect(tokenizer.decode(ids!.slice(2))).toBe('yes')
  })

  test('without an end of text, or with a vocabulary that cannot spell the grammar, is refused', async () => {
    await expect(model.generate([[40]], { constraint: grammar('root ::= "a"') })).rejects.toThrow(
      'generate: eosTokenId is undefined, expected a token id with a constraint. Give the token that ends a text.',
    )
    const words = Tokenizer.fromJSON(tokenizers[2]!.tokenizer)
    const constraint = Constraint.fromGrammar('root ::= "Ω"', words)
    await expect(model.generate([[40]], { ...options, constraint })).rejects.toThrow(
      'constraint: no token of the vocabulary leads on, expected it to spell every text of the grammar. Allow other characters.',
    )
  })
})
