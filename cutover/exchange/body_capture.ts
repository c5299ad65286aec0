import { createHash, type Hash } from "node:crypto";
import { ByteBuffer } from "../../byte_buffer.ts";
import type { ByteBudget } from "./byte_budget.ts";
import type { BodyDigest } from "./exchange.ts";

/** A body up to this many bytes is kept, whatever else is. */
export const ALWAYS_CAPTURED_BYTES = 65_536;

/**
 * A body that is kept while it passes, to be compared: whole up to `max` bytes, as long as the budget of
 * the larger ones lasts; else by its digest, which still tells whether another body is the same.
 */
export class BodyCapture {
  readonly #kept: ByteBuffer;
  #hash: Hash | undefined;
  #digest: BodyDigest | undefined;
  #bytes = 0;
  #taken = 0;

  /** @param budget without one, everything up to `max` is kept */
  constructor(readonly max: number, readonly budget?: ByteBudget) {
    this.#kept = new ByteBuffer(max);
  }

  append(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#hash === undefined && !this.#hasRoom()) this.#giveUp();
    if (this.#hash === undefined) this.#kept.append(piece);
    else this.#hash.update(piece);
  }

  /** How many have passed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The whole body; absent: it was too large. */
  get body(): Uint8Array | undefined {
    return this.#hash === undefined ? this.#kept.bytes() : undefined;
  }

  /** Of a body that was too large, when all of it has passed. */
  get digest(): BodyDigest | undefined {
    if (this.#hash === undefined) return undefined;
    return this.#digest ??= { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  /** Gives back what it took of the budget; the one that holds the body from now on counts it. */
  release(): void {
    this.budget?.give(this.#taken);
    this.#taken = 0;
  }

  #hasRoom(): boolean {
    if (this.#bytes > this.max) return false;
    if (this.#bytes <= ALWAYS_CAPTURED_BYTES || this.budget === undefined) return true;
    // The buffer grows to twice of what it holds.
    const needed = Math.min(2 * this.#bytes, this.max);
    if (needed <= this.#taken) return true;
    if (!this.budget.take(needed - this.#taken)) return false;
    this.#taken = needed;
    return true;
  }

  #giveUp(): void {
    this.#hash = createHash("sha256").update(this.#kept.bytes());
    this.#kept.clear();
    this.release();
  }
}

/** The digest of a body, whether it was kept or not. */
export function digestOf(
  { body, digest }: { readonly body: Uint8Array; readonly digest?: BodyDigest },
): BodyDigest {
  return digest ??
    { bytes: body.length, sha256: createHash("sha256").update(body).digest("hex") };
}
