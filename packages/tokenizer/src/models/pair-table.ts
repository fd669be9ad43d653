/** An open-addressing hash map from pairs of ids to numbers in parallel int32 arrays: a lookup allocates nothing. */
export class PairTable {
  private mask: number
  private size = 0
  private left: Int32Array
  private right: Int32Array
  private index: Int32Array

  constructor(capacity = 1024) {
    let slots = 16
    while (slots < capacity * 2) slots *= 2
    this.mask = slots - 1
    this.left = new Int32Array(slots).fill(-1)
    this.right = new Int32Array(slots)
    this.index = new Int32Array(slots)
  }

  /** The number stored for the pair, or -1. */
  get(left: number, right: number): number {
    const slot = this.slotOf(left, right)
    return this.left[slot] === -1 ? -1 : this.index[slot]!
  }

  set(left: number, right: number, value: number): void {
    const slot = this.slotOf(left, right)
    if (this.left[slot] === -1) {
      this.left[slot] = left
      this.right[slot] = right
      this.size++
    }
    this.index[slot] = value
    if (this.size * 2 > this.mask) this.grow()
  }

  private slotOf(left: number, right: number): number {
    const { mask } = this
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
    hash ^= hash >>> 15
    let slot = Math.imul(hash, 0x2c1b3c6d) >>> 7
    slot &= mask
    while (this.left[slot] !== -1 && (this.left[slot] !== left || this.right[slot] !== right)) slot = (slot + 1) & mask
    return slot
  }

  private grow(): void {
    const { left, right, index } = this
    const slots = left.length * 2
    this.mask = slots - 1
    this.left = new Int32Array(slots).fill(-1)
    this.right = new Int32Array(slots)
    this.index = new Int32Array(slots)
    for (let i = 0; i < left.length; i++) {
      if (left[i] === -1) continue
      const slot = this.slotOf(left[i]!, right[i]!)
      this.left[slot] = left[i]!
      this.right[slot] = right[i]!
      this.index[slot] = index[i]!
    }
  }
}
