/** The statuses that a request can fail with. */
export type ErrorStatus = 400 | 401 | 404 | 413 | 415 | 429 | 499 | 500 | 503 | 504

/** OpenAI's names of their kinds. */
const kinds: Readonly<Record<ErrorStatus, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  404: 'invalid_request_error',
  413: 'invalid_request_error',
  415: 'invalid_request_error',
  429: 'rate_limit_error',
  499: 'client_closed_request', // nobody reads it, but it is counted
  500: 'server_error',
  503: 'server_error',
  504: 'timeout_error',
}

/** What is wrong with a request, or why it is not served: an answer of its own in OpenAI's form. */
export class RequestError extends Error {
  override readonly name = 'RequestError'

  constructor(
    readonly status: ErrorStatus,
    message: string,
    /** The field at fault, and OpenAI's name of the case where it has one. */
    readonly details: { param?: string | undefined; code?: string | undefined } = {},
  ) {
    super(message)
  }

  toJSON(): { error: { message: string; type: string; param: string | null; code: string | null } } {
    const { param = null, code = null } = this.details
    return { error: { message: this.message, type: kinds[this.status], param, code } }
  }
}
