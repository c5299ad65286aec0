/**
 * What is under way at the moment, in no order; each thing is in it once at most.
 *
 * Not a `Set`: with each request that comes and goes V8 makes it a new table now and then, and the old
 * tables, chained to the new ones and full of requests that are over, outlive all but the great
 * collections. Everything that the requests had made stayed with them, and the small collections took
 * 12 ms instead of 1 to copy it: see docs/performance.md.
 */
export class InFlight<Thing> {
  readonly #things: Thing[] = [];

  get size(): number {
    return this.#things.length;
  }

  add(thing: Thing): void {
    this.#things.push(thing);
  }

  /** Takes it out, if it is there. */
  delete(thing: Thing): void {
    const at = this.#things.indexOf(thing);
    if (at === -1) return;
    const last = this.#things.pop();
    if (last !== undefined && last !== thing) this.#things[at] = last;
  }

  /** From the end, so that none is left out when the one at hand is deleted. */
  *[Symbol.iterator](): Generator<Thing> {
    for (let at = this.#things.length - 1; at >= 0; at--) {
      const thing = this.#things[at];
      if (thing !== undefined) yield thing;
    }
  }
}
