import { Buffer } from "node:buffer";
import { ByteBuffer } from "../../byte_buffer.ts";
import {
  MalformedResponseError,
  readHeaderLine,
  readResponseHead,
  type ResponseHead,
} from "../exchange/response_head.ts";

export interface ResponseListener {
  /** An interim response (1xx). */
  interim(head: ResponseHead): void;
  head(head: ResponseHead): void;
  data(chunk: Uint8Array): void;
  /** The response is complete; `last` is the last part of its body, unless `data` had all of it. */
  end(last: Uint8Array | undefined): void;
}

const MAX_HEAD_BYTES = 65_536;
/** Interim responses of one response, and their heads together. */
const MAX_INTERIM = 16;
const MAX_INTERIM_BYTES = 65_536;
const MAX_CHUNK_LINE = 1_024;
/** Of all chunks of a response, as in Node. */
const MAX_EXTENSION_BYTES = 16_384;
const MAX_TRAILERS = 2_000;

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
 * Parses one response of HTTP/1.1 (RFC 9112) from the bytes of a connection, however they are split.
 * The chunked coding is decoded, trailers are dropped.
 */
export class ResponseParser {
  #state: State = "head";
  /** The start of a head or a line whose end hasn't arrived. */
  #partial: ByteBuffer | undefined;
  /** Remaining bytes of the body or of a chunk. */
  #remaining = 0;
  /** Parts of a chunked body from one packet. */
  #parts: Buffer[] = [];
  #extensionBytes = 0;
  #trailerBytes = 0;
  #trailers = 0;
  #interims = 0;
  #interimBytes = 0;
  /** Whether another request may follow on the connection, once the response is complete. */
  keepsAlive = true;
  /** How long the server keeps an idle connection, as it says. */
  keepAliveSeconds: number | undefined;

  /** @param method of the request: a response to HEAD has no body */
  constructor(readonly method: string, readonly listener: ResponseListener) {}

  get isDone(): boolean {
    return this.#state === "done";
  }

  /** @throws {MalformedResponseError} when the bytes are no response */
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
          // Bytes without a request: the connection can't be trusted any longer.
          this.keepsAlive = false;
          return;
      }
    }
    this.#emitParts();
  }

  /** The connection has ended. @throws {MalformedResponseError} when the response is incomplete */
  finish(): void {
    this.keepsAlive = false;
    if (this.#state === "done") return;
    if (this.#state !== "close") throw new MalformedResponseError("the response ended too early");
    this.#end(undefined);
  }

  /** Joins the chunks of one packet: a server may send chunks of one byte each. */
  #emitParts(): void {
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
    const found = this.#readUntil("\r\n\r\n", chunk, MAX_HEAD_BYTES);
    if (found === undefined) return undefined;
    const { text, rest } = found;
    const { minor, ...head } = readResponseHead(text);
    if (head.status < 200) {
      this.#readInterim(head, minor, text.length);
      return rest;
    }
    this.keepsAlive = minor === "1";
    const { status, headers } = head;
    let length: number | undefined;
    let isChunked = false;
    for (let at = 0; at < headers.length; at += 2) {
      const value = headers[at + 1] ?? "";
      switch (headers[at]?.toLowerCase()) {
        case "content-length":
          if (length !== undefined || !/^\d{1,15}$/.test(value)) {
            throw new MalformedResponseError("the content length is invalid");
          }
          length = Number(value);
          break;
        case "transfer-encoding":
          if (isChunked || value.toLowerCase() !== "chunked") {
            throw new MalformedResponseError("the transfer encoding is unknown");
          }
          isChunked = true;
          break;
        case "connection":
          if (/\bclose\b/i.test(value)) this.keepsAlive = false;
          break;
        case "keep-alive": {
          const seconds = /\btimeout=(\d{1,6})/i.exec(value)?.[1];
          if (seconds !== undefined) this.keepAliveSeconds = Number(seconds);
          break;
        }
      }
    }
    if (isChunked && length !== undefined) {
      throw new MalformedResponseError("the response has two lengths");
    }
    this.listener.head(head);
    if (this.method === "HEAD" || status === 204 || status === 304) this.#end(undefined);
    else if (isChunked) this.#state = "chunk_size";
    else if (length === 0) this.#end(undefined);
    else if (length !== undefined) {
      this.#remaining = length;
      this.#state = "length";
    } else {
      this.keepsAlive = false;
      this.#state = "close";
    }
    return rest;
  }

  /** An interim response has no body fields (RFC 9112, 6.1, and RFC 9110, 8.6). */
  #readInterim(head: ResponseHead, minor: string, bytes: number): void {
    this.#interimBytes += bytes;
    if (++this.#interims > MAX_INTERIM || this.#interimBytes > MAX_INTERIM_BYTES) {
      throw new MalformedResponseError("too many interim responses");
    }
    const isFramed = head.headers.some((name, at) =>
      at % 2 === 0 && /^(?:content-length|transfer-encoding)$/i.test(name)
    );
    if (minor === "0" || isFramed) {
      throw new MalformedResponseError("an interim response is malformed");
    }
    this.listener.interim(head);
  }

  /**
   * The text before `end` and the bytes after it; undefined until `end` arrives. Each byte is searched
   * once, however the bytes are split.
   *
   * @throws {MalformedResponseError} when the text has more than `max` bytes
   */
  #readUntil(
    end: string,
    chunk: Buffer,
    max: number,
  ): { readonly text: string; readonly rest: Buffer } | undefined {
    const partial = this.#partial;
    const before = partial?.length ?? 0;
    const room = max + end.length - before;
    partial?.append(chunk.length > room ? chunk.subarray(0, room) : chunk);
    // The end may have begun in the bytes before.
    const from = Math.max(0, before - end.length + 1);
    // A search in text is five times as fast as in bytes.
    const searched = partial === undefined
      ? chunk.toString("latin1", 0, room)
      : latin1(partial.bytes().subarray(from));
    const at = searched.indexOf(end);
    if (at === -1) {
      if (before + chunk.length > max) {
        throw new MalformedResponseError("a head or line is too long");
      }
      if (partial === undefined) {
        this.#partial = new ByteBuffer(max + end.length);
        this.#partial.append(chunk);
      }
      return undefined;
    }
    this.#partial = undefined;
    return {
      text: partial === undefined
        ? searched.slice(0, at)
        : latin1(partial.bytes().subarray(0, from + at)),
      rest: chunk.subarray(from + at + end.length - before),
    };
  }

  #readLength(chunk: Buffer): Buffer | undefined {
    if (chunk.length < this.#remaining) {
      this.#remaining -= chunk.length;
      this.listener.data(chunk);
      return undefined;
    }
    const last = chunk.subarray(0, this.#remaining);
    this.#end(last);
    return chunk.subarray(last.length);
  }

  #readChunk(chunk: Buffer): Buffer {
    const part = chunk.subarray(0, this.#remaining);
    this.#remaining -= part.length;
    if (this.#remaining === 0) this.#state = "chunk_end";
    this.#parts.push(part);
    return chunk.subarray(part.length);
  }

  #readChunkLine(chunk: Buffer): Buffer | undefined {
    const found = this.#readUntil("\r\n", chunk, MAX_CHUNK_LINE);
    if (found === undefined) return undefined;
    const { text: line, rest } = found;
    switch (this.#state) {
      case "chunk_end":
        if (line !== "") throw new MalformedResponseError("a chunk is longer than its size");
        this.#state = "chunk_size";
        break;
      case "chunk_size": {
        const [, digits, extension = ""] = CHUNK_SIZE.exec(line) ?? [];
        if (digits === undefined) throw new MalformedResponseError("a chunk size is malformed");
        this.#extensionBytes += extension.length;
        if (this.#extensionBytes > MAX_EXTENSION_BYTES) {
          throw new MalformedResponseError("too many chunk extensions");
        }
        this.#remaining = parseInt(digits, 16);
        this.#state = this.#remaining === 0 ? "trailer" : "chunk";
        break;
      }
      default:
        if (line === "") {
          this.#emitParts();
          this.#end(undefined);
          break;
        }
        // Trailers are dropped, but a malformed one shows that the framing is wrong.
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
