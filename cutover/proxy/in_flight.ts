/**
 * A set of requests without an order.
 *
 * A `Set` would be slower: V8 replaces its table now and then, and the old tables, linked to the new
 * ones and full of finished requests, survive until a major collection. With all that the requests had
 * allocated, minor collections took 12 ms instead of 1: see docs/performance.md.
 */
export class InFlight<Item> {
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item must not be in it already. */
  add(item: Item): void {
    this.#items.push(item);
  }

  delete(item: Item): void {
    const at = this.#items.indexOf(item);
    if (at === -1) return;
    const last = this.#items.pop();
    if (last !== undefined && last !== item) this.#items[at] = last;
  }

  /** From the end, so that the current item may be deleted. */
  *[Symbol.iterator](): Generator<Item> {
    for (let at = this.#items.length - 1; at >= 0; at--) {
      const item = this.#items[at];
      if (item !== undefined) yield item;
    }
  }
}
