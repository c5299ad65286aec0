import { Buffer } from "node:buffer";
import { BUCKETS } from "./canary.ts";

/**
 * A set of clients by bucket, one bit each, as PostgreSQL's `bit(10000)`. Clients that share a bucket
 * count as one, so the memory is constant.
 */
export class ClientSet {
  readonly #bits = new Uint8Array(BUCKETS / 8);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(bucket: number): void {
    const at = bucket >> 3;
    const bit = 0x80 >> (bucket & 7);
    const before = this.#bits[at] ?? 0;
    if ((before & bit) !== 0) return;
    this.#bits[at] = before | bit;
    this.#size++;
  }

  /** Four buckets a digit, the first bucket first. */
  toHex(): string {
    return Buffer.from(this.#bits).toString("hex");
  }
}
