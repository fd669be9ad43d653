import { expect } from 'vitest'
import { haveSameValues } from './same-values.ts'
import { toBeAllclose } from './to-be-allclose.ts'

expect.extend({ toBeAllclose })
expect.addEqualityTesters([haveSameValues])
