import type net from "node:net";
import type { ClientRequest } from "./client_request.ts";

/** What a client may send besides heads and bodies, and why it is refused when it sends more. */
export type TooMuch = "chunk_framing" | "head";

/** Node's bound on chunk extensions; here for all of a request, with the sizes and its trailers. */
const MAX_FRAMING_BYTES = 16_384;
/** What a chunk's size and its two line ends may take up: more than any client's do. */
const BYTES_OF_PIECE = 16;

/**
 * So many chunks of any size, and one more for every so many bytes of body: as many as a body has that
 * the sides take, if each of its bytes is a chunk. The server calls for each of them.
 */
const MAX_PIECES = 102_400;
const BYTES_OF_MORE = 64;

/**
 * Counts the bytes on a client's connection that are neither heads nor bodies. The server's parser
 * bounds the names and values of headers and trailers only: chunk extensions, zeros before a chunk's
 * size, empty lines before a request and spaces before a header's value would have no end.
 *
 * It sees packets, not bytes: what comes in the packet in which another request ended isn't counted.
 */
export class FramingBytes {
  #request: ClientRequest | undefined;
  #isChunked = false;
  /** How much had been read when the last request was whole; undefined: one is coming in. */
  #wholeAt: number | undefined = 0;
  /** How much had been read when the body began; undefined: that isn't known. */
  #bodyAt: number | undefined;

  /** @param maxHeadBytes of a head, with the spaces and empty lines in it and before it */
  constructor(readonly socket: net.Socket, readonly maxHeadBytes: number) {}

  /** The head of a request was read. */
  begin(request: ClientRequest, isChunked: boolean): void {
    this.#request = request;
    this.#isChunked = isChunked;
    if (isChunked) {
      this.#bodyAt = this.#wholeAt === undefined ? undefined : this.#wholeAt + request.headBytes();
    }
    this.#wholeAt = undefined;
  }

  /** To be called when a packet was read. Undefined: all is well. */
  look(): TooMuch | undefined {
    const { bytesRead } = this.socket;
    if (this.#wholeAt !== undefined) {
      return bytesRead - this.#wholeAt > this.maxHeadBytes ? "head" : undefined;
    }
    const request = this.#request;
    if (request === undefined) return undefined;
    if (request.complete) {
      this.#wholeAt = bytesRead;
      this.#request = undefined;
    }
    if (!this.#isChunked) return undefined;
    this.#bodyAt ??= bytesRead - request.bodyBytes;
    const framing = bytesRead - this.#bodyAt - request.bodyBytes;
    const allowed = MAX_FRAMING_BYTES + BYTES_OF_PIECE * request.pieces;
    const maxPieces = MAX_PIECES + request.bodyBytes / BYTES_OF_MORE;
    return framing > allowed || request.pieces > maxPieces ? "chunk_framing" : undefined;
  }
}
