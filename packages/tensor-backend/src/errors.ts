/** What each code means; a code never changes its meaning between versions. */
const codes = {
  HEED_SHAPE_MISMATCH: 'shapes or sizes of tensors disagree',
  HEED_DTYPE_UNSUPPORTED: 'an operation, backend or file format does not serve this dtype',
  HEED_CONFIG_INVALID: 'a model, tokenizer or training configuration breaks a rule',
  HEED_ARGUMENT_INVALID: 'an argument of a call is of the wrong type or outside its range',
  HEED_ID_OUT_OF_RANGE: 'a token id, label or index lies outside its table',
  HEED_STATE_DICT_MISMATCH: 'the names or shapes of a checkpoint differ from those of the module',
  HEED_FILE_NOT_FOUND: 'a file or folder that was named does not exist',
  HEED_FILE_INVALID: 'a file is truncated, lies about itself, or is not of its format',
  HEED_IO: 'reading or writing failed in the system: permission, full disk, network',
  HEED_BACKEND_UNAVAILABLE: 'a backend was asked for that cannot run here',
  HEED_OUT_OF_MEMORY: 'memory for a tensor cannot be had',
  HEED_NUMERIC: 'a value became NaN or infinite where it must be finite',
  HEED_DISPOSED: 'a tensor, module or file is used after it was disposed or closed',
  HEED_ABORTED: 'the caller cancelled the operation',
  HEED_DEPENDENCY_MISSING: 'an optional package that this feature needs is not installed',
} as const

export type HeedErrorCode = keyof typeof codes

/** Every code with one line on what it means, for documentation and `heed doctor`. */
export const heedErrorCodes: Readonly<Record<HeedErrorCode, string>> = codes

/** The one error class of Heed: `code` is the contract, the message reads *where: name is value, expected rule. Mend.* */
export class HeedError extends Error {
  readonly code: HeedErrorCode

  constructor(code: HeedErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'HeedError'
    this.code = code
  }
}

/** Whether an unknown value is a HeedError, also one of another installed copy of this package. */
export function isHeedError(error: unknown): error is HeedError {
  return error instanceof Error && error.name === 'HeedError' && 'code' in error
}
