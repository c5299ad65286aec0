import { ApiError } from "./errors.ts";
import { ByteBuffer } from "./byte_buffer.ts";

export interface ReadLimits {
  readonly max: number;
  /** The client must send the whole body within this time, in ms. */
  readonly deadlineMs: number;
}

/**
 * The rest of a body is cancelled this long after a 408, in ms, which closes the connection. Deno's
 * server reads the rest and keeps the connection when the body is cancelled before the response is
 * sent.
 */
const RESPONSE_IS_OUT_MS = 1_000;

/**
 * Reads a body to its end, and returns its size and, up to `max`, its bytes. Beyond `max` bytes are
 * read and discarded, so that a client that is still sending can read its 413. The deadline bounds
 * that.
 *
 * @param onChunk receives each chunk, which is valid only during the call
 * @throws {ApiError} 400 the body ended early, 408 too slow
 */
export async function readBytes(
  request: Request,
  { max, deadlineMs }: ReadLimits,
  onChunk: (chunk: Uint8Array) => void = () => {},
): Promise<{ bytes: Uint8Array<ArrayBuffer>; size: number }> {
  const { body } = request;
  if (body === null) return { bytes: new Uint8Array(), size: 0 };
  const source = new BodySource(body);
  const buffer = new ByteBuffer(max);
  let stopWaiting = () => {};
  const timer = setTimeout(() => stopWaiting(), deadlineMs);
  let size = 0;
  try {
    for (;;) {
      const next = source.read();
      // Promise.race with one long-lived promise would keep a reference to every chunk.
      const result = await new Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>>(
        (resolve, reject) => {
          stopWaiting = () => {
            source.closeSoon();
            reject(tooSlow());
          };
          next.then(resolve, reject);
        },
      );
      if (result.done) break;
      const chunk = source.taken(result.value);
      size += chunk.length;
      onChunk(chunk);
      buffer.append(chunk);
    }
  } catch (thrown) {
    if (thrown instanceof ApiError) throw thrown;
    throw new ApiError("client_gone", "The body ended too early", { cause: thrown });
  } finally {
    clearTimeout(timer);
  }
  return { bytes: size > max ? new Uint8Array() : buffer.bytes(), size };
}

function tooSlow(): ApiError {
  return new ApiError("body_too_slow", "The body took too long to arrive", {
    // The rest of the body would be read as the next request.
    headers: { connection: "close" },
  });
}

/** The first buffer's size; it doubles when a read fills it. */
const FIRST_READ_BYTES = 1_024;
const MAX_READ_BYTES = 65_536;

/**
 * The most reads that wait in Deno's own buffers. Further bodies use small buffers of ours from the
 * start. That costs some microseconds when the body is already there, because getReader throws.
 */
const MAX_READS_OF_DENO = 32;
let readsOfDeno = 0;

/**
 * Reads a body chunk by chunk. Deno's server allocates 64 kB for each read that has to wait,
 * however few bytes come. From the second chunk on it reads into a small buffer of ours.
 */
class BodySource {
  readonly #body: ReadableStream<Uint8Array<ArrayBuffer>>;
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  #ownReader: ReadableStreamBYOBReader | undefined;
  #buffer: ArrayBuffer | undefined;
  #waiting: Promise<unknown> | undefined;

  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#body = body;
    if (readsOfDeno >= MAX_READS_OF_DENO) this.#useOwnBuffer();
    else this.#reader = body.getReader();
  }

  /** Pass the result to {@link taken}. */
  read(): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> {
    if (this.#ownReader !== undefined) {
      this.#buffer ??= new ArrayBuffer(FIRST_READ_BYTES);
      return this.#ownReader.read(new Uint8Array(this.#buffer));
    }
    this.#reader ??= this.#body.getReader();
    readsOfDeno++;
    const read = this.#reader.read();
    read.then(readOfDenoEnded, readOfDenoEnded);
    return this.#waiting = read;
  }

  /** Takes over a chunk that was read; it is valid until the next read. */
  taken(chunk: Uint8Array<ArrayBuffer>): Uint8Array {
    const whole = chunk.buffer.byteLength;
    if (this.#ownReader !== undefined) {
      // A read transfers the buffer, and returns it with the chunk. A filled buffer is kept by the
      // caller and replaced by a larger one.
      this.#buffer = chunk.length === whole
        ? new ArrayBuffer(Math.min(2 * whole, MAX_READ_BYTES))
        : chunk.buffer;
    } else if (whole > chunk.length) {
      // Only a byte stream returns a buffer that is larger than its chunk.
      this.#useOwnBuffer();
    }
    return chunk;
  }

  /**
   * Cancels the rest once the response is sent. A pending read in one of Deno's buffers would keep
   * that buffer, so it ends first, with the next byte or with the connection.
   */
  closeSoon(): void {
    const timer = setTimeout(() => {
      const readIsOver = this.#ownReader === undefined ? this.#waiting : undefined;
      // The connection may have ended already.
      const cancel = () => (this.#ownReader ?? this.#reader)?.cancel().catch(() => {});
      Promise.resolve(readIsOver).then(cancel, cancel);
    }, RESPONSE_IS_OUT_MS);
    // The timer must not delay a shutdown.
    Deno.unrefTimer(timer);
  }

  #useOwnBuffer(): void {
    this.#reader?.releaseLock();
    this.#reader = undefined;
    try {
      this.#ownReader = this.#body.getReader({ mode: "byob" });
    } catch {
      // Not a byte stream: the whole body is in memory.
    }
  }
}

function readOfDenoEnded(): void {
  readsOfDeno--;
}
