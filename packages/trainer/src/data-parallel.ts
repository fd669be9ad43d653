import type { World } from '@heed/tensor-backend'
import type { NamedParameter } from './optim/optimizer.ts'

/**
 * What a run does together with the other processes of its world. Without a world everything is this process's own.
 */
export class DataParallel {
  readonly world: World | undefined
  /** The parameters whose optimizer state is kept here: all, or with `isSharded` a part (ZeRO-1, arXiv:1910.02054). */
  readonly owned: NamedParameter[]
  readonly #shards: NamedParameter[][]
  readonly isSharded: boolean

  constructor(world: World | undefined, parameters: readonly NamedParameter[], isSharded: boolean) {
    this.world = world
    this.isSharded = isSharded && world !== undefined
    this.#shards = this.isSharded ? shards(parameters, world!.size) : [[...parameters]]
    this.owned = this.isSharded ? this.#shards[world!.rank]! : this.#shards[0]!
  }

  /** Whether this process writes the files and says what is going on. */
  get isFirst(): boolean {
    return this.world === undefined || this.world.rank === 0
  }

  get rank(): number {
    return this.world?.rank ?? 0
  }

  get size(): number {
    return this.world?.size ?? 1
  }

  /** Sums of numbers over all processes. */
  sum(values: readonly number[]): number[] {
    return this.world?.sum(values) ?? [...values]
  }

  /** Goes on when all processes have come here. */
  meet(): void {
    this.world?.sum([0])
  }

  /** Gives all processes the parameters of the first. */
  shareAll(parameters: readonly NamedParameter[]): void {
    this.world?.startBroadcast(
      parameters.map(([, value]) => value),
      0,
    )
    this.world?.wait()
  }

  /** Gives all processes the parameters that each has updated. */
  shareOwned(): void {
    if (!this.isSharded) return
    for (const [rank, shard] of this.#shards.entries()) {
      this.world!.startBroadcast(
        shard.map(([, value]) => value),
        rank,
      )
    }
    this.world!.wait()
  }
}

/** The parameters dealt out, the largest first, each to whom has least. */
function shards(parameters: readonly NamedParameter[], count: number): NamedParameter[][] {
  const dealt = Array.from({ length: count }, () => ({ size: 0, shard: [] as NamedParameter[] }))
  for (const parameter of parameters.toSorted(([, a], [, b]) => b.size - a.size)) {
    const least = dealt.reduce((best, other) => (other.size < best.size ? other : best))
    least.shard.push(parameter)
    least.size += parameter[1].size
  }
  return dealt.map(({ shard }) => shard)
}
