import { Buffer } from "node:buffer";
import { ByteBuffer } from "../byte_buffer.ts";

/** An answer's first lines: headers in their order and with their letters, names and values in turn. */
export interface AnswerHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly string[];
}

/** Is told an answer as it comes in. */
export interface AnswerReader {
  /** An answer before the answer (1xx), as its bytes. */
  interim(head: Uint8Array): void;
  head(head: AnswerHead): void;
  data(chunk: Uint8Array): void;
  /** The answer is whole; `last` is its last part, unless {@link data} was told all. */
  end(last: Uint8Array | undefined): void;
}

/** Bytes that are no answer, or an answer that ended too early. */
export class BrokenAnswerError extends Error {
  override name = "BrokenAnswerError";
}

/** Lotline and the old server send some hundred bytes. */
const MOST_HEAD_BYTES = 65_536;
const MOST_INTERIM = 16;
const LONGEST_CHUNK_LINE = 1_024;

const END_OF_HEAD = "\r\n\r\n";
const END_OF_LINE = "\r\n";

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([^\0\r\n]*))?$/;
const HEADER_NAME = /^[!#$%&'*+.^_`|~\w-]+$/;

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
export class AnswerParser {
  #state: State = "head";
  /** The start of a head or a line whose end is still to come. */
  #held: ByteBuffer | undefined;
  /** Bytes that are still to come of the body or of a chunk. */
  #left = 0;
  #trailerBytes = 0;
  #interims = 0;
  #keepsAlive = true;
  #keepAliveSeconds: number | undefined;

  /** @param method of the request: an answer to HEAD has no body */
  constructor(readonly method: string, readonly reader: AnswerReader) {}

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

  /** @throws {BrokenAnswerError} when the bytes are no answer */
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
          this.reader.data(rest);
          return;
        case "done":
          // Nobody asked for more: whatever it is, the connection can't be trusted any longer.
          this.#keepsAlive = false;
          return;
      }
    }
  }

  /** The connection has ended. @throws {BrokenAnswerError} when the answer isn't whole */
  finish(): void {
    this.#keepsAlive = false;
    if (this.#state === "done") return;
    if (this.#state !== "close") throw new BrokenAnswerError("the answer ended too early");
    this.#end(undefined);
  }

  #end(last: Uint8Array | undefined): void {
    this.#state = "done";
    this.reader.end(last);
  }

  #readHead(chunk: Buffer): Buffer | undefined {
    const found = this.#takeUpTo(
      END_OF_HEAD,
      chunk,
      MOST_HEAD_BYTES,
      "the answer's head is too long",
    );
    if (found === undefined) return undefined;
    const { text, rest } = found;
    const lines = text.split("\r\n");
    const [, minor, digits = "", reason = ""] = STATUS_LINE.exec(lines[0] ?? "") ?? [];
    const status = Number(digits);
    if (minor === undefined || status === 101 || status > 599) {
      throw new BrokenAnswerError("the answer's first line is none");
    }
    if (status < 200) {
      if (++this.#interims > MOST_INTERIM) throw new BrokenAnswerError("too many interim answers");
      this.reader.interim(Buffer.from(text + END_OF_HEAD, "latin1"));
      return rest;
    }
    this.#keepsAlive = minor === "1";
    const headers: string[] = [];
    let length: number | undefined;
    let isChunked = false;
    for (let at = 1; at < lines.length; at++) {
      const line = lines[at] ?? "";
      const colon = line.indexOf(":");
      const name = line.slice(0, Math.max(colon, 0));
      if (!HEADER_NAME.test(name)) throw new BrokenAnswerError("a header is none");
      const value = withoutSpaceAround(line.slice(colon + 1));
      headers.push(name, value);
      switch (name.toLowerCase()) {
        case "content-length":
          if (length !== undefined || !/^\d{1,15}$/.test(value)) {
            throw new BrokenAnswerError("the length is none");
          }
          length = Number(value);
          break;
        case "transfer-encoding":
          if (isChunked || value.toLowerCase() !== "chunked") {
            throw new BrokenAnswerError("the transfer encoding isn't known");
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
    if (isChunked && length !== undefined) throw new BrokenAnswerError("two lengths");
    this.reader.head({ status, reason, headers });
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

  /**
   * The text before `end`, which may come in pieces, and the bytes behind it; nothing while it isn't
   * there. Each byte is looked at once, however the bytes are cut.
   *
   * @throws {BrokenAnswerError} when it is longer than `most`
   */
  #takeUpTo(
    end: string,
    chunk: Buffer,
    most: number,
    tooLong: string,
  ): { readonly text: string; readonly rest: Buffer } | undefined {
    const held = this.#held;
    const before = held?.length ?? 0;
    const room = most + end.length - before;
    held?.append(chunk.length > room ? chunk.subarray(0, room) : chunk);
    // The end may have begun in what came before.
    const from = Math.max(0, before - end.length + 1);
    // Looked for in the text, it is found five times as fast as in the bytes.
    const seen = held === undefined
      ? chunk.toString("latin1", 0, room)
      : latin1(held.bytes().subarray(from));
    const at = seen.indexOf(end);
    if (at === -1) {
      if (before + chunk.length > most) throw new BrokenAnswerError(tooLong);
      if (held === undefined) {
        this.#held = new ByteBuffer(most + end.length);
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
      this.reader.data(chunk);
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
    this.reader.data(part);
    return chunk.subarray(part.length);
  }

  #readChunkLine(chunk: Buffer): Buffer | undefined {
    const found = this.#takeUpTo(
      END_OF_LINE,
      chunk,
      LONGEST_CHUNK_LINE,
      "a chunk's line is too long",
    );
    if (found === undefined) return undefined;
    const { text: line, rest } = found;
    switch (this.#state) {
      case "chunk_end":
        if (line !== "") throw new BrokenAnswerError("a chunk is longer than it said");
        this.#state = "chunk_size";
        break;
      case "chunk_size": {
        const digits = /^([\da-f]{1,12})[ \t]*(?:;.*)?$/i.exec(line)?.[1];
        if (digits === undefined) throw new BrokenAnswerError("a chunk's size is none");
        this.#left = parseInt(digits, 16);
        this.#state = this.#left === 0 ? "trailer" : "chunk";
        break;
      }
      default:
        this.#trailerBytes += line.length + 2;
        if (this.#trailerBytes > MOST_HEAD_BYTES) throw new BrokenAnswerError("too many trailers");
        if (line === "") this.#end(undefined);
    }
    return rest;
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** Without the spaces and tabs at both ends. `trim` would take a no-break space away as well. */
function withoutSpaceAround(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isSpace(value.charCodeAt(start))) start++;
  while (end > start && isSpace(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
