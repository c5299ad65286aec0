/** The smallest buffer that is made, in bytes: most bodies and heads fit. */
const MIN_BYTES = 512;
const EMPTY = new Uint8Array(0);

/**
 * Bytes that come in pieces, copied into one buffer that grows with them: it is never larger than
 * {@link MIN_BYTES} or twice what it holds, nor than `max`. A piece itself is held only when it comes
 * first and fills its buffer: it may be a view on one of many times its size.
 */
export class ByteBuffer {
  #buffer = EMPTY;
  #length = 0;
  #isOver = false;

  /** @param max more bytes than these aren't kept */
  constructor(readonly max: number) {}

  /** How many bytes it holds. */
  get length(): number {
    return this.#length;
  }

  /** How many bytes of memory they take up. */
  get capacity(): number {
    return this.#buffer.length;
  }

  /** Whether more came than is kept; nothing is held then. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Takes up a piece; one that fills its buffer must not be written to any more. */
  append(piece: Uint8Array): void {
    if (this.#isOver) return;
    const length = this.#length + piece.length;
    if (length > this.max) {
      this.clear();
      this.#isOver = true;
      return;
    }
    const { buffer } = piece;
    const isWhole = piece.length === buffer.byteLength;
    if (this.#length === 0 && isWhole && buffer instanceof ArrayBuffer) {
      this.#buffer = new Uint8Array(buffer);
    } else {
      if (length > this.#buffer.length) this.#grow(length);
      this.#buffer.set(piece, this.#length);
    }
    this.#length = length;
  }

  /** The bytes so far, as a view: what comes later may or may not be seen in it. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  clear(): void {
    this.#buffer = EMPTY;
    this.#length = 0;
  }

  #grow(min: number): void {
    const size = Math.min(Math.max(min, 2 * this.#buffer.length, MIN_BYTES), this.max);
    const larger = new Uint8Array(size);
    larger.set(this.bytes());
    this.#buffer = larger;
  }
}
