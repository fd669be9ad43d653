import { HeedError } from '@heed/tensor-backend'

/** HF's `rope_parameters`, in camelCase: the base of the angles and how they are stretched for longer contexts. */
export type RopeParameters = { ropeTheta: number; partialRotaryFactor?: number } & (
  | { ropeType: 'default' }
  | { ropeType: 'linear'; factor: number }
  | { ropeType: 'dynamic'; factor: number; maxPositionEmbeddings: number }
  | {
      ropeType: 'llama3'
      factor: number
      lowFreqFactor: number
      highFreqFactor: number
      originalMaxPositionEmbeddings: number
    }
  | {
      ropeType: 'yarn'
      factor: number
      originalMaxPositionEmbeddings: number
      betaFast?: number
      betaSlow?: number
      attentionFactor?: number
      mscale?: number
      mscaleAllDim?: number
      truncate?: boolean
    }
  | {
      ropeType: 'longrope'
      /** maxPositionEmbeddings / originalMaxPositionEmbeddings where it is not told otherwise. */
      factor: number
      originalMaxPositionEmbeddings: number
      /** Divisors of each frequency within and beyond the original context, [rotaryDim / 2]. */
      shortFactor: readonly number[]
      longFactor: readonly number[]
      attentionFactor?: number
    }
)

export interface RopeFrequencies {
  /** Angle per position of each pair of channels, in radians: float32, as PyTorch computes them. */
  inverse: Float32Array
  /** Cosines and sines are multiplied by this. */
  attentionFactor: number
}

/** theta^(-2i / rotaryDim). Su et al. 2021 (arXiv:2104.09864), section 3.2.2. */
function defaultFrequencies(theta: number, rotaryDim: number): Float32Array {
  return Float32Array.from(
    { length: rotaryDim / 2 },
    (_, i) => 1 / Math.fround(theta ** Math.fround((2 * i) / rotaryDim)),
  )
}

/** The longest sequence whose angles do not depend on its length; beyond it they are those of `ropeFrequencies` with `seqLen`. */
export function fixedAnglesUpTo(rope: RopeParameters): number {
  if (rope.ropeType === 'dynamic') return rope.maxPositionEmbeddings
  if (rope.ropeType !== 'longrope') return Number.POSITIVE_INFINITY
  const { shortFactor, longFactor, originalMaxPositionEmbeddings: original } = rope
  const isSame =
    longFactor.length === shortFactor.length && longFactor.every((divisor, i) => divisor === shortFactor[i])
  return isSame ? Number.POSITIVE_INFINITY : original
}

/**
 * The frequencies of a rope type for sequences of `seqLen` positions, which only `dynamic` and `longrope` look at; same numbers
 * as HF `ROPE_INIT_FUNCTIONS`. Throws HEED_CONFIG_INVALID.
 */
export function ropeFrequencies(rope: RopeParameters, rotaryDim: number, seqLen = 1): RopeFrequencies {
  if (!(rotaryDim > 0 && rotaryDim % 2 === 0)) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `RotaryEmbedding: rotaryDim is ${rotaryDim}, expected an even number above 0, since channels turn in pairs. Change the size of the heads.`,
    )
  }
  const frequencies = frequenciesOf(rope, rotaryDim, seqLen)
  if ([...frequencies.inverse, frequencies.attentionFactor].every(Number.isFinite)) return frequencies
  throw new HeedError(
    'HEED_CONFIG_INVALID',
    `RotaryEmbedding: the parameters are ${JSON.stringify(rope)}, expected all numbers of rope_type ${JSON.stringify(rope.ropeType)}, above 0. ` +
      'Add what is missing.',
  )
}

function frequenciesOf(rope: RopeParameters, rotaryDim: number, seqLen: number): RopeFrequencies {
  const inverse = defaultFrequencies(rope.ropeTheta, rotaryDim)
  switch (rope.ropeType) {
    case 'default':
      return { inverse, attentionFactor: 1 }
    case 'linear':
      return { inverse: inverse.map(frequency => frequency / rope.factor), attentionFactor: 1 }
    case 'llama3':
      return { inverse: inverse.map(frequency => llama3Frequency(frequency, rope)), attentionFactor: 1 }
    case 'yarn':
      return yarnFrequencies(inverse, rope, rotaryDim)
    case 'dynamic':
      return { inverse: dynamicFrequencies(rope, rotaryDim, seqLen), attentionFactor: 1 }
    case 'longrope':
      return longRopeFrequencies(inverse, rope, seqLen)
    default: {
      const { ropeType } = rope as { ropeType: string }
      throw new HeedError(
        'HEED_CONFIG_INVALID',
        `RotaryEmbedding: rope_type is ${JSON.stringify(ropeType)}, expected one of default, linear, dynamic, llama3, yarn, longrope.`,
      )
    }
  }
}

type Rope<Type extends RopeParameters['ropeType']> = Extract<RopeParameters, { ropeType: Type }>

/** Long waves are slowed by `factor`, short ones kept, those between blended. Dubey et al. 2024 (arXiv:2407.21783), HF's `llama3`. */
function llama3Frequency(frequency: number, rope: Rope<'llama3'>): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: original } = rope
  const wavelength = (2 * Math.PI) / frequency // in positions
  if (wavelength < original / highFreqFactor) return frequency
  if (wavelength > original / lowFreqFactor) return frequency / factor
  const smooth = (original / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
  return ((1 - smooth) * frequency) / factor + smooth * frequency
}

/** Peng et al. 2023 (arXiv:2309.00071), section 3.2 and eq. 22. */
function yarnFrequencies(inverse: Float32Array, rope: Rope<'yarn'>, rotaryDim: number): RopeFrequencies {
  const { factor, originalMaxPositionEmbeddings: original, betaFast = 32, betaSlow = 1, truncate = true } = rope
  // The channel pair whose wave turns `rotations` times within the original context.
  const pairOf = (rotations: number): number =>
    (rotaryDim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(rope.ropeTheta))
  const low = Math.max(truncate ? Math.floor(pairOf(betaFast)) : pairOf(betaFast), 0)
  const highest = Math.min(truncate ? Math.ceil(pairOf(betaSlow)) : pairOf(betaSlow), rotaryDim - 1)
  const high = highest === low ? highest + 0.001 : highest // keeps the ramp from dividing by 0
  const scaled = inverse.map((frequency, i) => {
    const slowed = Math.min(Math.max((i - low) / (high - low), 0), 1)
    return (frequency / factor) * slowed + frequency * (1 - slowed)
  })
  return { inverse: scaled, attentionFactor: rope.attentionFactor ?? yarnAttentionFactor(rope) }
}

function yarnAttentionFactor({ factor, mscale, mscaleAllDim }: Rope<'yarn'>): number {
  const scale = (weight: number): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1)
  return mscale && mscaleAllDim ? scale(mscale) / scale(mscaleAllDim) : scale(1)
}

/** The base grows with the length of the sequence beyond the context trained on; HF's `dynamic`, NTK-aware scaling. */
function dynamicFrequencies(rope: Rope<'dynamic'>, rotaryDim: number, seqLen: number): Float32Array {
  const { factor, maxPositionEmbeddings: trained, ropeTheta } = rope
  const stretch = (factor * Math.max(seqLen, trained)) / trained - (factor - 1)
  return defaultFrequencies(ropeTheta * stretch ** (rotaryDim / (rotaryDim - 2)), rotaryDim)
}

/** Each frequency has a divisor of its own, found by search. Ding et al. 2024 (arXiv:2402.13753), eq. 4. */
function longRopeFrequencies(inverse: Float32Array, rope: Rope<'longrope'>, seqLen: number): RopeFrequencies {
  const { factor, originalMaxPositionEmbeddings: original, shortFactor, longFactor, attentionFactor } = rope
  const divisors = seqLen > original ? longFactor : shortFactor
  if (divisors.length !== inverse.length) {
    throw new HeedError(
      'HEED_CONFIG_INVALID',
      `RotaryEmbedding: ${seqLen > original ? 'long_factor' : 'short_factor'} has ${divisors.length} numbers, ` +
        `expected ${inverse.length}, one for each pair of channels that turns.`,
    )
  }
  return {
    inverse: inverse.map((frequency, i) => frequency / divisors[i]!),
    attentionFactor: attentionFactor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original))),
  }
}
