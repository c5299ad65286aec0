import type net from "node:net";
import type { ClientRequest } from "./client_request.ts";

/** Node's bound on chunk extensions; here for all framing of a request. */
const MAX_FRAMING_BYTES = 16_384;
/** A chunk's size and its two line ends, with a reserve. */
const BYTES_PER_PIECE = 16;

/**
 * Bounds the chunks of a body, each of which costs a call: this many of any size, and one more for each
 * {@link BYTES_PER_MORE}. A body that the upstreams accept may have chunks of one byte.
 */
const MAX_PIECES = 102_400;
const BYTES_PER_MORE = 64;

/**
 * Counts the bytes on a client's connection that belong to neither heads nor bodies. The server's parser
 * bounds the names and values of headers and trailers only. Chunk extensions, zeros before a chunk size,
 * empty lines before a request and spaces before a header's value would be unbounded.
 *
 * It counts packets: bytes in the packet that ended another request are left out.
 */
export class FramingBytes {
  #request: ClientRequest | undefined;
  #isChunked = false;
  /** Bytes read when the last request was complete; undefined: a request is arriving. */
  #completeAt: number | undefined = 0;
  /** Bytes read when the body began; undefined: unknown. */
  #bodyAt: number | undefined;

  /** @param maxHeadBytes of a head, with the spaces and empty lines in it and before it */
  constructor(readonly socket: net.Socket, readonly maxHeadBytes: number) {}

  begin(request: ClientRequest, isChunked: boolean): void {
    this.#request = request;
    this.#isChunked = isChunked;
    if (isChunked) {
      this.#bodyAt = this.#completeAt === undefined
        ? undefined
        : this.#completeAt + request.headBytes();
    }
    this.#completeAt = undefined;
  }

  /** To be called after each packet. Returns which bound is exceeded. */
  check(): "chunk_framing" | "head" | undefined {
    const { bytesRead } = this.socket;
    if (this.#completeAt !== undefined) {
      return bytesRead - this.#completeAt > this.maxHeadBytes ? "head" : undefined;
    }
    const request = this.#request;
    if (request === undefined) return undefined;
    if (request.complete) {
      this.#completeAt = bytesRead;
      this.#request = undefined;
    }
    if (!this.#isChunked) return undefined;
    this.#bodyAt ??= bytesRead - request.bodyBytes;
    const framing = bytesRead - this.#bodyAt - request.bodyBytes;
    const maxFraming = MAX_FRAMING_BYTES + BYTES_PER_PIECE * request.pieces;
    const maxPieces = MAX_PIECES + request.bodyBytes / BYTES_PER_MORE;
    return framing > maxFraming || request.pieces > maxPieces ? "chunk_framing" : undefined;
  }
}
