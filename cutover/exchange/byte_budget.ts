/** Bytes of memory that may be held by many at once. */
export class ByteBudget {
  #left: number;

  /** @param bytes that may be taken in all */
  constructor(readonly bytes: number) {
    this.#left = bytes;
  }

  /** How many are left. */
  get left(): number {
    return this.#left;
  }

  /** Takes so many, if they are left. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  /** Gives back what was taken. */
  give(bytes: number): void {
    this.#left += bytes;
  }
}
