import { createHash, type Hash } from "node:crypto";
import { ByteBuffer } from "../../byte_buffer.ts";
import type { BodyDigest } from "./exchange.ts";

/** A bound on the memory that many holders use together. */
export class ByteBudget {
  #available: number;

  constructor(bytes: number) {
    this.#available = bytes;
  }

  get available(): number {
    return this.#available;
  }

  /** Returns false, and reserves nothing, when fewer bytes are available. */
  reserve(bytes: number): boolean {
    if (bytes > this.#available) return false;
    this.#available -= bytes;
    return true;
  }

  release(bytes: number): void {
    this.#available += bytes;
  }
}

/** A body up to this size is captured even when the budget is used up. */
export const ALWAYS_CAPTURED_BYTES = 65_536;

/**
 * Captures a body for comparing while it passes through. A body of more than `max` bytes, or one that
 * the budget has no room for, is reduced to its digest, which still shows whether another body is equal.
 */
export class BodyCapture {
  readonly #buffer: ByteBuffer;
  #hash: Hash | undefined;
  #digest: BodyDigest | undefined;
  #bytes = 0;
  #reserved = 0;

  /** @param budget without one, only `max` limits the body */
  constructor(readonly max: number, readonly budget?: ByteBudget) {
    this.#buffer = new ByteBuffer(max);
  }

  append(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#hash === undefined && !this.#hasRoom()) this.#startDigest();
    if (this.#hash === undefined) this.#buffer.append(piece);
    else this.#hash.update(piece);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The complete body; undefined when it was too large. */
  get body(): Uint8Array | undefined {
    return this.#hash === undefined ? this.#buffer.bytes() : undefined;
  }

  /** The digest of a body that was too large; final once the body is complete. */
  get digest(): BodyDigest | undefined {
    if (this.#hash === undefined) return undefined;
    return this.#digest ??= { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  /** Returns its share to the budget; the next holder of the body counts it. */
  release(): void {
    this.budget?.release(this.#reserved);
    this.#reserved = 0;
  }

  #hasRoom(): boolean {
    if (this.#bytes > this.max) return false;
    if (this.#bytes <= ALWAYS_CAPTURED_BYTES || this.budget === undefined) return true;
    // The buffer grows to twice its content.
    const needed = Math.min(2 * this.#bytes, this.max);
    if (needed <= this.#reserved) return true;
    if (!this.budget.reserve(needed - this.#reserved)) return false;
    this.#reserved = needed;
    return true;
  }

  #startDigest(): void {
    this.#hash = createHash("sha256").update(this.#buffer.bytes());
    this.#buffer.clear();
    this.release();
  }
}

export function digestOf(
  { body, digest }: { readonly body: Uint8Array; readonly digest?: BodyDigest },
): BodyDigest {
  return digest ??
    { bytes: body.length, sha256: createHash("sha256").update(body).digest("hex") };
}
