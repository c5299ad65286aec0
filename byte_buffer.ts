/** The smallest buffer, in bytes: most bodies and heads fit. */
const MIN_BYTES = 512;
const EMPTY = new Uint8Array(0);

/**
 * Collects chunks in one buffer that grows with them. The buffer is never larger than `max`, nor
 * than {@link MIN_BYTES} or twice its content. A chunk is kept without a copy only when it comes
 * first and fills its own buffer: otherwise it may be a view of a much larger one.
 */
export class ByteBuffer {
  #buffer = EMPTY;
  #length = 0;
  #isOver = false;

  /** @param max content that exceeds this many bytes is discarded, and the buffer stays empty */
  constructor(readonly max: number) {}

  get length(): number {
    return this.#length;
  }

  /** Adds a chunk. The caller must not write to a chunk that fills its buffer afterwards. */
  append(chunk: Uint8Array): void {
    if (this.#isOver) return;
    const length = this.#length + chunk.length;
    if (length > this.max) {
      this.clear();
      this.#isOver = true;
      return;
    }
    const { buffer } = chunk;
    const isWhole = chunk.length === buffer.byteLength;
    if (this.#length === 0 && isWhole && buffer instanceof ArrayBuffer) {
      this.#buffer = new Uint8Array(buffer);
    } else {
      if (length > this.#buffer.length) this.#grow(length);
      this.#buffer.set(chunk, this.#length);
    }
    this.#length = length;
  }

  /** A view of the bytes so far; later chunks may or may not show in it. */
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
