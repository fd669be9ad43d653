/** Takes tokens as they are generated, and never the prompt. */
export interface Streamer {
  /** The next token of each sequence. Generation goes on when what it returns is settled. */
  put(tokenIds: readonly number[]): void | Promise<void>
  end?(): void | Promise<void>
}
