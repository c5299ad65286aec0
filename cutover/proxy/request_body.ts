import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import process from "node:process";
import { ByteBuffer } from "../../byte_buffer.ts";
import type { RequestHead } from "./request_head.ts";
import type { Connection } from "../upstream/connection.ts";

/**
 * A body up to this many bytes is kept until its request is over, so that it can be sent again; a longer
 * one is when its exchange is to be compared and there is room.
 */
export const MAX_BUFFERED_BYTES = 131_072;

/** So many bytes of it are looked at at once, even when more has come with them. */
const MAX_PART_BYTES = 65_536;

/** Is told what becomes of a client's body. */
export interface BodyListener {
  /** All of it is here. */
  bodyIsWhole(): void;
  /** It is longer than what is kept: it can only be passed on as it comes. */
  bodyIsLong(): void;
  /** It is longer than what is passed on at all. */
  bodyIsTooLarge(): void;
}

/**
 * The body that a client sends. A short one is gathered first, so that a slow client takes up none of
 * a side's connections; a long one is passed on as it comes, no faster than the side takes it.
 */
export class ClientBody {
  isWhole: boolean;
  /** Whether it is longer than what is kept of any body. */
  isLong = false;
  #keepsAll = false;
  readonly #kept: ByteBuffer;
  #bytes = 0;
  /** What has come and is looked at when all is there that came with it. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #connection: Connection | undefined;
  /** Something was passed on that isn't kept. */
  #isPartlyGone = false;
  #isDropped = false;

  constructor(
    readonly request: IncomingMessage,
    readonly head: RequestHead,
    readonly limit: number,
    readonly listener: BodyListener,
  ) {
    this.#kept = new ByteBuffer(limit);
    this.isWhole = !head.isChunked && (head.length ?? 0) === 0;
    if (this.isWhole) return;
    request.on("data", (chunk: Buffer) => {
      if (this.#parts.length === 0) process.nextTick(() => this.#takeParts());
      this.#parts.push(chunk);
      this.#partBytes += chunk.length;
      // Whether more of it may come depends on what is made of them.
      if (this.#partBytes >= MAX_PART_BYTES) this.#takeParts();
    });
    request.on("end", () => this.#end());
  }

  /** Whether it can be sent, for the first time or again. */
  get canBeSent(): boolean {
    return this.#connection === undefined || (this.isWhole && !this.#isPartlyGone);
  }

  /** What is kept, when that is all of it. */
  bytes(): Uint8Array {
    return this.#kept.bytes();
  }

  /** From now on a long one is kept as well, up to the limit. */
  bufferAll(): void {
    this.#keepsAll = true;
    this.request.resume();
  }

  /** Writes a request's head and what there is of the body; the rest follows as it comes. */
  sendTo(connection: Connection, head: string): void {
    this.#connection = connection;
    if (this.#kept.length === 0) connection.write(head);
    else {
      const framed = this.#framed(this.#kept.bytes());
      connection.write(Buffer.concat([Buffer.from(head, "latin1"), ...framed]));
    }
    if (this.isWhole) this.#finish(connection);
    else {
      this.#isPartlyGone = true;
      this.#kept.clear();
      this.request.resume();
    }
  }

  /** The side takes more. */
  drained(): void {
    if (!this.isWhole) this.request.resume();
  }

  /**
   * Takes what had come when the client's connection was closed, and wasn't looked at yet: with that
   * the body may be whole. To be called before the request itself is ended.
   */
  discardRest(): void {
    if (this.isWhole) return;
    // Each piece that is read is told as `data`.
    while (this.request.read() !== null);
    if (this.request.complete) this.#end();
  }

  /** Lets what is still to come go nowhere, so that the client can read its answer meanwhile. */
  drop(): void {
    this.#isDropped = true;
    this.#kept.clear();
    if (!this.isWhole) this.request.resume();
  }

  /** A client may make chunks of one byte each: those that came together are one. */
  #takeParts(): void {
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    this.#partBytes = 0;
    const [only] = parts;
    this.#take(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts));
  }

  #take(chunk: Buffer): void {
    if (this.#isDropped) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.limit) return this.listener.bodyIsTooLarge();
    const connection = this.#connection;
    if (connection !== undefined) {
      let isTaken = true;
      for (const part of this.#framed(chunk)) isTaken = connection.write(part);
      if (!isTaken) this.request.pause();
      return;
    }
    this.#kept.append(chunk);
    if (this.#bytes > MAX_BUFFERED_BYTES && !this.#keepsAll) {
      this.isLong = true;
      this.request.pause();
      this.listener.bodyIsLong();
    }
  }

  #end(): void {
    if (this.isWhole) return;
    this.#takeParts();
    this.isWhole = true;
    if (this.#isDropped) return;
    if (this.#connection !== undefined) this.#finish(this.#connection);
    this.listener.bodyIsWhole();
  }

  #finish(connection: Connection): void {
    if (this.head.isChunked) connection.write("0\r\n\r\n");
    connection.wholeRequest();
  }

  #framed(chunk: Uint8Array): Uint8Array[] {
    if (!this.head.isChunked) return [chunk];
    return [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, CHUNK_END];
  }
}

const CHUNK_END = Buffer.from("\r\n");
