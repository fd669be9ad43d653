/** What a handler is told beside the request: when to stop, and whom to tell of tokens. */
export interface RequestContext {
  /** Aborted when the client is gone, at the time limit, and when the server stops. */
  signal: AbortSignal
  /** Counts the tokens of prompts and answers, and the first one of a request. */
  onTokens(kind: 'prompt' | 'completion' | 'first', count: number): void
}
