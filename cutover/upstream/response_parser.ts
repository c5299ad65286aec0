import { Buffer } from "node:buffer";
import { ByteBuffer } from "../../byte_buffer.ts";
import {
  MalformedResponseError,
  readHeaderLine,
  readResponseHead,
  type ResponseHead,
} from "../exchange/response_head.ts";

/** Is told an answer as it comes in. */
export interface ResponseListener {
  /** An answer before the answer (1xx). */
  interim(head: ResponseHead): void;
  head(head: ResponseHead): void;
  data(chunk: Uint8Array): void;
  /** The answer is whole; `last` is its last part, unless {@link data} was told all. */
  end(last: Uint8Array | undefined): void;
}

/** Lotline and the old server send some hundred bytes. */
const MAX_HEAD_BYTES = 65_536;
const MAX_INTERIM = 16;
/** Of all answers before the answer. */
const MAX_INTERIM_BYTES = 65_536;
const MAX_CHUNK_LINE = 1_024;
/** Of all chunks of an answer; Node allows as many. */
const MAX_EXTENSION_BYTES = 16_384;
const MAX_TRAILERS = 2_000;

const END_OF_HEAD = "\r\n\r\n";
const END_OF_LINE = "\r\n";

const CHUNK_SIZE = /^([\da-f]{1,12})([\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/i;

type State =
  | "head"
  | "length"
  | "chunk_size"
  | "chunk"
  | "chunk_end"
  | "trailer"
  | "close"
  | "done";

/**
 * Reads one answer of HTTP/1.1 (RFC 9112) from the bytes of a connection, however they are cut.
 * Chunks are taken apart, trailers are dropped.
 */
export class ResponseParser {
  #state: State = "head";
  /** The start of a head or a line whose end is still to come. */
  #held: ByteBuffer | undefined;
  /** Bytes that are still to come of the body or of a chunk. */
  #left = 0;
  /** What has come of a chunked body since the last bytes were pushed. */
  #parts: Buffer[] = [];
  #extensionBytes = 0;
  #trailerBytes = 0;
  #trailers = 0;
  #interims = 0;
  #interimBytes = 0;
  #keepsAlive = true;
  #keepAliveSeconds: number | undefined;

  /** @param method of the request: an answer to HEAD has no body */
  constructor(readonly method: string, readonly listener: ResponseListener) {}

  get isDone(): boolean {
    return this.#state === "done";
  }

  /** Whether another request may follow on the connection, once the answer is whole. */
  get keepsAlive(): boolean {
    return this.#keepsAlive;
  }

  /** How long the server says that it keeps an idle connection. */
  get keepAliveSeconds(): number | undefined {
    return this.#keepAliveSeconds;
  }

  /** @throws {MalformedResponseError} when the bytes are no answer */
  push(chunk: Buffer): void {
    let rest: Buffer | undefined = chunk;
    while (rest !== undefined && rest.length > 0) {
      switch (this.#state) {
        case "head":
          rest = this.#readHead(rest);
          break;
        case "length":
          rest = this.#readLength(rest);
          break;
        case "chunk_size":
        case "chunk_end":
        case "trailer":
          rest = this.#readChunkLine(rest);
          break;
        case "chunk":
          rest = this.#readChunk(rest);
          break;
        case "close":
          this.listener.data(rest);
          return;
        case "done":
          // Nobody asked for more: whatever it is, the connection can't be trusted any longer.
          this.#keepsAlive = false;
          return;
      }
    }
    this.#tellParts();
  }

  /** The connection has ended. @throws {MalformedResponseError} when the answer isn't whole */
  finish(): void {
    this.#keepsAlive = false;
    if (this.#state === "done") return;
    if (this.#state !== "close") throw new MalformedResponseError("the answer ended too early");
    this.#end(undefined);
  }

  /** Chunks that came together are told as one: a server may make them of one byte each. */
  #tellParts(): void {
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    const [only] = parts;
    this.listener.data(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts));
  }

  #end(last: Uint8Array | undefined): void {
    this.#state = "done";
    this.listener.end(last);
  }

  #readHead(chunk: Buffer): Buffer | undefined {
    const found = this.#takeUpTo(
      END_OF_HEAD,
      chunk,
      MAX_HEAD_BYTES,
      "the answer's head is too long",
    );
    if (found === undefined) return undefined;
    const { text, rest } = found;
    const { minor, ...head } = readResponseHead(text);
    if (head.status < 200) {
      this.#readInterim(head, minor, text.length);
      return rest;
    }
    this.#keepsAlive = minor === "1";
    const { status, headers } = head;
    let length: number | undefined;
    let isChunked = false;
    for (let at = 0; at < headers.length; at += 2) {
      const value = headers[at + 1] ?? "";
      switch (headers[at]?.toLowerCase()) {
        case "content-length":
          if (length !== undefined || !/^\d{1,15}$/.test(value)) {
            throw new MalformedResponseError("the length is none");
          }
          length = Number(value);
          break;
        case "transfer-encoding":
          if (isChunked || value.toLowerCase() !== "chunked") {
            throw new MalformedResponseError("the transfer encoding isn't known");
          }
          isChunked = true;
          break;
        case "connection":
          if (/\bclose\b/i.test(value)) this.#keepsAlive = false;
          break;
        case "keep-alive": {
          const seconds = /\btimeout=(\d{1,6})/i.exec(value)?.[1];
          if (seconds !== undefined) this.#keepAliveSeconds = Number(seconds);
          break;
        }
      }
    }
    if (isChunked && length !== undefined) throw new MalformedResponseError("two lengths");
    this.listener.head(head);
    if (this.method === "HEAD" || status === 204 || status === 304) this.#end(undefined);
    else if (isChunked) this.#state = "chunk_size";
    else if (length === 0) this.#end(undefined);
    else if (length !== undefined) {
      this.#left = length;
      this.#state = "length";
    } else {
      this.#keepsAlive = false;
      this.#state = "close";
    }
    return rest;
  }

  /** RFC 9112 6.1 and RFC 9110 8.6: an answer before the answer says nothing of a body. */
  #readInterim(head: ResponseHead, minor: string, bytes: number): void {
    this.#interimBytes += bytes;
    if (++this.#interims > MAX_INTERIM || this.#interimBytes > MAX_INTERIM_BYTES) {
      throw new MalformedResponseError("too many interim answers");
    }
    const isFramed = head.headers.some((name, at) =>
      at % 2 === 0 && /^(?:content-length|transfer-encoding)$/i.test(name)
    );
    if (minor === "0" || isFramed) throw new MalformedResponseError("an interim answer is none");
    this.listener.interim(head);
  }

  /**
   * The text before `end`, which may come in pieces, and the bytes behind it; nothing while it isn't
   * there. Each byte is looked at once, however the bytes are cut.
   *
   * @throws {MalformedResponseError} when it is longer than `max`
   */
  #takeUpTo(
    end: string,
    chunk: Buffer,
    max: number,
    tooLong: string,
  ): { readonly text: string; readonly rest: Buffer } | undefined {
    const held = this.#held;
    const before = held?.length ?? 0;
    const room = max + end.length - before;
    held?.append(chunk.length > room ? chunk.subarray(0, room) : chunk);
    // The end may have begun in what came before.
    const from = Math.max(0, before - end.length + 1);
    // Looked for in the text, it is found five times as fast as in the bytes.
    const seen = held === undefined
      ? chunk.toString("latin1", 0, room)
      : latin1(held.bytes().subarray(from));
    const at = seen.indexOf(end);
    if (at === -1) {
      if (before + chunk.length > max) throw new MalformedResponseError(tooLong);
      if (held === undefined) {
        this.#held = new ByteBuffer(max + end.length);
        this.#held.append(chunk);
      }
      return undefined;
    }
    this.#held = undefined;
    return {
      text: held === undefined ? seen.slice(0, at) : latin1(held.bytes().subarray(0, from + at)),
      rest: chunk.subarray(from + at + end.length - before),
    };
  }

  #readLength(chunk: Buffer): Buffer | undefined {
    if (chunk.length < this.#left) {
      this.#left -= chunk.length;
      this.listener.data(chunk);
      return undefined;
    }
    const last = chunk.subarray(0, this.#left);
    this.#end(last);
    return chunk.subarray(last.length);
  }

  #readChunk(chunk: Buffer): Buffer {
    const part = chunk.subarray(0, this.#left);
    this.#left -= part.length;
    if (this.#left === 0) this.#state = "chunk_end";
    this.#parts.push(part);
    return chunk.subarray(part.length);
  }

  #readChunkLine(chunk: Buffer): Buffer | undefined {
    const found = this.#takeUpTo(
      END_OF_LINE,
      chunk,
      MAX_CHUNK_LINE,
      "a chunk's line is too long",
    );
    if (found === undefined) return undefined;
    const { text: line, rest } = found;
    switch (this.#state) {
      case "chunk_end":
        if (line !== "") throw new MalformedResponseError("a chunk is longer than it said");
        this.#state = "chunk_size";
        break;
      case "chunk_size": {
        const [, digits, extension = ""] = CHUNK_SIZE.exec(line) ?? [];
        if (digits === undefined) throw new MalformedResponseError("a chunk's size is none");
        this.#extensionBytes += extension.length;
        if (this.#extensionBytes > MAX_EXTENSION_BYTES) {
          throw new MalformedResponseError("too many chunk extensions");
        }
        this.#left = parseInt(digits, 16);
        this.#state = this.#left === 0 ? "trailer" : "chunk";
        break;
      }
      default:
        if (line === "") {
          this.#tellParts();
          this.#end(undefined);
          break;
        }
        // Dropped, but what isn't one shows that the bytes aren't what they seem.
        readHeaderLine(line);
        this.#trailerBytes += line.length + 2;
        if (++this.#trailers > MAX_TRAILERS || this.#trailerBytes > MAX_HEAD_BYTES) {
          throw new MalformedResponseError("too many trailers");
        }
    }
    return rest;
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
