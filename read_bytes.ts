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
 * @param onChunk is told of every piece as it comes; a piece is good until it returns
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
  #buffer: ArrayBuffer | undefined;
  #waiting: Promise<unknown> | undefined;

  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#body = body;
    if (readsOfDeno >= MAX_READS_OF_DENO) this.#readIntoFromNowOn();
    else this.#reader = body.getReader();
  }

  /** The next piece; it is to be given to {@link taken}. */
  read(): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> {
    if (this.#into !== undefined) {
      this.#buffer ??= new ArrayBuffer(FIRST_READ_BYTES);
      return this.#into.read(new Uint8Array(this.#buffer));
    }
    this.#reader ??= this.#body.getReader();
    readsOfDeno++;
    const read = this.#reader.read();
    read.then(readOfDenoEnded, readOfDenoEnded);
    return this.#waiting = read;
  }

  /** A piece that was read, good until the next is unless it fills its buffer. */
  taken(piece: Uint8Array<ArrayBuffer>): Uint8Array {
    const whole = piece.buffer.byteLength;
    if (this.#into !== undefined) {
      // What was lent comes back with the bytes in it. One that was filled is too small, and kept.
      this.#buffer = piece.length === whole
        ? new ArrayBuffer(Math.min(2 * whole, MAX_READ_BYTES))
        : piece.buffer;
    } // Only a stream of bytes makes buffers that are larger than what it reads.
    else if (whole > piece.length) this.#readIntoFromNowOn();
    return piece;
  }

  /**
   * Gives the rest up once the response is out. A read that waits in a buffer of Deno's would keep it,
   * so that one is let end first, with the next byte or the connection.
   */
  closeSoon(): void {
    const timer = setTimeout(() => {
      const readIsOver = this.#into === undefined ? this.#waiting : undefined;
      // The connection may be gone by then; there is nothing left to cancel.
      const cancel = () => (this.#into ?? this.#reader)?.cancel().catch(() => {});
      Promise.resolve(readIsOver).then(cancel, cancel);
    }, RESPONSE_IS_OUT_MS);
    // It holds up nobody's shutdown.
    Deno.unrefTimer(timer);
  }

  #readIntoFromNowOn(): void {
    this.#reader?.releaseLock();
    this.#reader = undefined;
    try {
      this.#into = this.#body.getReader({ mode: "byob" });
    } catch {
      // No stream of bytes: all of it is there.
    }
  }
}

function readOfDenoEnded(): void {
  readsOfDeno--;
}
