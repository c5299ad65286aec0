import { Buffer } from "node:buffer";
import { IncomingMessage } from "node:http";
import process from "node:process";
import { ByteBuffer } from "../../byte_buffer.ts";
import type { RequestHead } from "./request_head.ts";
import type { Connection } from "../upstream/connection.ts";

/**
 * A body of up to this size is buffered until its request is finished, so that it can be sent again. A
 * longer one is buffered when its exchange is compared and the budget has room.
 */
const MAX_BUFFERED_BYTES = 131_072;

/** The parts of one packet are joined up to this size. */
const MAX_JOINED_BYTES = 65_536;

/** A client's request that counts its body as it arrives, before it is read. */
export class ClientRequest extends IncomingMessage {
  /** Without the framing of chunks. */
  bodyBytes = 0;
  /** Chunks, or parts of them. */
  pieces = 0;

  /** Called by the server's parser for each part of the body; null: the body is complete. */
  override push(part: Buffer | null): boolean {
    if (part !== null) {
      this.bodyBytes += part.length;
      this.pieces++;
    }
    return super.push(part);
  }

  /** The size of its head without superfluous bytes. */
  headBytes(): number {
    const { method = "", url = "", rawHeaders } = this;
    let bytes = `${method} ${url} HTTP/1.1\r\n\r\n`.length;
    // A colon and an end of line for each header, and mostly a space.
    for (const part of rawHeaders) bytes += part.length + 2;
    return bytes;
  }
}

export interface BodyListener {
  bodyIsComplete(): void;
  /** It exceeds the buffer: it can only be forwarded as it arrives. */
  bodyIsLong(): void;
  bodyIsTooLarge(): void;
}

/**
 * The body of a client's request. A short one is buffered first, so that a slow client occupies no
 * connection to an upstream. A long one is forwarded as it arrives, at the upstream's pace.
 */
export class ClientBody {
  isComplete: boolean;
  /** Whether it exceeds {@link MAX_BUFFERED_BYTES}. */
  isLong = false;
  #buffersAll = false;
  readonly #buffer: ByteBuffer;
  #bytes = 0;
  #parts: Buffer[] = [];
  #partBytes = 0;
  #connection: Connection | undefined;
  /** Bytes were forwarded that aren't in the buffer. */
  #isPartlyForwarded = false;
  #isDropped = false;

  constructor(
    readonly request: ClientRequest,
    readonly head: RequestHead,
    readonly limit: number,
    readonly listener: BodyListener,
  ) {
    this.#buffer = new ByteBuffer(limit);
    this.isComplete = !head.isChunked && (head.length ?? 0) === 0;
    if (this.isComplete) return;
    request.on("data", (chunk: Buffer) => {
      if (this.#parts.length === 0) process.nextTick(() => this.#joinParts());
      this.#parts.push(chunk);
      this.#partBytes += chunk.length;
      // Whether to read on depends on these bytes.
      if (this.#partBytes >= MAX_JOINED_BYTES) this.#joinParts();
    });
    request.on("end", () => this.#end());
  }

  get canBeSent(): boolean {
    return this.#connection === undefined || (this.isComplete && !this.#isPartlyForwarded);
  }

  bytes(): Uint8Array {
    return this.#buffer.bytes();
  }

  /** From here on a long body is buffered as well, up to the limit. */
  bufferAll(): void {
    this.#buffersAll = true;
    this.request.resume();
  }

  /** Writes a request's head and the buffered bytes; the rest follows as it arrives. */
  sendTo(connection: Connection, head: string): void {
    this.#connection = connection;
    if (this.#buffer.length === 0) connection.write(head);
    else {
      const framed = this.#framed(this.#buffer.bytes());
      connection.write(Buffer.concat([Buffer.from(head, "latin1"), ...framed]));
    }
    if (this.isComplete) this.#finish(connection);
    else {
      this.#isPartlyForwarded = true;
      this.#buffer.clear();
      this.request.resume();
    }
  }

  drained(): void {
    if (!this.isComplete) this.request.resume();
  }

  /**
   * Reads what had arrived before the client's connection was closed: that may complete the body. To be
   * called before the request itself is ended.
   */
  readRest(): void {
    if (this.isComplete) return;
    // Each piece is emitted as `data`.
    while (this.request.read() !== null);
    if (this.request.complete) this.#end();
  }

  /** Drops the rest, so that the client can read its response meanwhile. */
  drop(): void {
    this.#isDropped = true;
    this.#buffer.clear();
    if (!this.isComplete) this.request.resume();
  }

  /** A client may send chunks of one byte each: those of one packet are joined. */
  #joinParts(): void {
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    this.#partBytes = 0;
    const [only] = parts;
    this.#receive(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts));
  }

  #receive(chunk: Buffer): void {
    if (this.#isDropped) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.limit) return this.listener.bodyIsTooLarge();
    const connection = this.#connection;
    if (connection !== undefined) {
      let acceptsMore = true;
      for (const part of this.#framed(chunk)) acceptsMore = connection.write(part);
      if (!acceptsMore) this.request.pause();
      return;
    }
    this.#buffer.append(chunk);
    if (this.#bytes > MAX_BUFFERED_BYTES && !this.#buffersAll) {
      this.isLong = true;
      this.request.pause();
      this.listener.bodyIsLong();
    }
  }

  #end(): void {
    if (this.isComplete) return;
    this.#joinParts();
    this.isComplete = true;
    if (this.#isDropped) return;
    if (this.#connection !== undefined) this.#finish(this.#connection);
    this.listener.bodyIsComplete();
  }

  #finish(connection: Connection): void {
    if (this.head.isChunked) connection.write("0\r\n\r\n");
    connection.requestComplete();
  }

  #framed(chunk: Uint8Array): Uint8Array[] {
    if (!this.head.isChunked) return [chunk];
    return [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, CHUNK_END];
  }
}

const CHUNK_END = Buffer.from("\r\n");
