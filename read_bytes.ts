import { ApiError } from "./errors.ts";
import { ByteBuffer } from "./byte_buffer.ts";

/** What is read of a body. */
export interface ReadLimits {
  /** More bytes than these aren't kept. */
  readonly max: number;
  /** How long the client may take to send all of it, in ms. */
  readonly deadlineMs: number;
}

/**
 * So long after a 408 the rest of a body is given up, which closes the connection with its next byte.
 * Given up before the response is out, Deno's server would read all the rest and keep the connection.
 */
const RESPONSE_IS_OUT_MS = 1_000;

/**
 * Receives a body to its end: its size, and its bytes unless they are more than `max`. Past that it
 * is read and thrown away, so that the client, still sending, can read its 413; the deadline bounds
 * how long.
 *
 * @param onChunk is told of every piece as it comes; a piece is good only until it returns
 * @throws {ApiError} 400 it ended too early, 408 too slow
 */
export async function readBytes(
  request: Request,
  { max, deadlineMs }: ReadLimits,
  onChunk: (chunk: Uint8Array) => void = () => {},
): Promise<{ bytes: Uint8Array<ArrayBuffer>; size: number }> {
  const { body } = request;
  if (body === null) return { bytes: new Uint8Array(), size: 0 };
  const source = new BodySource(body);
  const kept = new ByteBuffer(max);
  let stopWaiting = () => {};
  const timer = setTimeout(() => stopWaiting(), deadlineMs);
  let size = 0;
  try {
    for (;;) {
      const next = source.read();
      // Not a race with one promise for all of the body: that would remember every piece.
      const chunk = await new Promise<Uint8Array | undefined>((resolve, reject) => {
        stopWaiting = () => {
          source.closeSoon();
          reject(tooSlow());
        };
        next.then(resolve, reject);
      });
      if (chunk === undefined) break;
      size += chunk.length;
      onChunk(chunk);
      kept.append(chunk);
    }
  } catch (thrown) {
    if (thrown instanceof ApiError) throw thrown;
    throw new ApiError("invalid_request", "The body ended too early", { cause: thrown });
  } finally {
    clearTimeout(timer);
  }
  return { bytes: size > max ? new Uint8Array() : kept.bytes(), size };
}

function tooSlow(): ApiError {
  return new ApiError("body_too_slow", "The body took too long to arrive", {
    // Its rest would be taken for the next request.
    headers: { connection: "close" },
  });
}

/** The first read into a buffer of ours; it grows with what comes. */
const FIRST_READ_BYTES = 1_024;
const MAX_READ_BYTES = 65_536;

/**
 * So many reads may wait in buffers of Deno's. Those beyond are lent small ones from the start, which
 * takes a body that is there already some microseconds longer: an exception says that it is.
 */
const MAX_READS_OF_DENO = 32;
let readsOfDeno = 0;

/**
 * A body's pieces as they come. Deno's server makes a buffer of 64 kB for each read of a body that
 * isn't there yet, however few bytes come: from the second piece on it reads into a small one of ours.
 */
class BodySource {
  readonly #body: ReadableStream<Uint8Array<ArrayBuffer>>;
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  #into: ReadableStreamBYOBReader | undefined;
  #buffer = new ArrayBuffer(0);

  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#body = body;
    if (readsOfDeno < MAX_READS_OF_DENO) this.#reader = body.getReader();
    else this.#readIntoFromNowOn();
  }

  /** The next piece, good until the next read; nothing at the end. */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#into !== undefined) return await this.#readInto(this.#into);
    const value = await this.#readOfDeno();
    // Only a stream of bytes makes buffers that are larger than what it reads.
    if (value !== undefined && value.buffer.byteLength > value.length) this.#readIntoFromNowOn();
    return value;
  }

  async #readOfDeno(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    readsOfDeno++;
    try {
      return (await this.#reader?.read())?.value;
    } finally {
      readsOfDeno--;
    }
  }

  /** Gives the rest up once the response is out. */
  closeSoon(): void {
    const timer = setTimeout(() => {
      // The connection may be gone by then; there is nothing left to cancel.
      (this.#into ?? this.#reader)?.cancel().catch(() => {});
    }, RESPONSE_IS_OUT_MS);
    // It holds up nobody's shutdown.
    Deno.unrefTimer(timer);
  }

  #readIntoFromNowOn(): void {
    this.#reader?.releaseLock();
    this.#reader = undefined;
    try {
      this.#into = this.#body.getReader({ mode: "byob" });
      this.#buffer = new ArrayBuffer(FIRST_READ_BYTES);
    } catch {
      // No stream of bytes: all of it is there.
      this.#reader = this.#body.getReader();
    }
  }

  async #readInto(reader: ReadableStreamBYOBReader): Promise<Uint8Array | undefined> {
    const { value, done } = await reader.read(new Uint8Array(this.#buffer));
    if (done || value === undefined) return undefined;
    // What was lent comes back with the bytes in it. One that was filled is too small.
    const isFull = value.length === value.buffer.byteLength;
    this.#buffer = isFull && value.length < MAX_READ_BYTES
      ? new ArrayBuffer(2 * value.length)
      : value.buffer;
    return value;
  }
}
