import type { Buffer } from "node:buffer";
import { IncomingMessage } from "node:http";

/** A request of a client that counts what comes of its body, at once and not when it is read. */
export class ClientRequest extends IncomingMessage {
  /** Without what frames its chunks. */
  bodyBytes = 0;
  /** Chunks, or parts of them. */
  pieces = 0;

  /** The server's parser tells a part of the body; null: that was all. */
  override push(part: Buffer | null): boolean {
    if (part !== null) {
      this.bodyBytes += part.length;
      this.pieces++;
    }
    return super.push(part);
  }

  /** The least bytes that its head had: those of a client that wastes none. */
  headBytes(): number {
    const { method = "", url = "", rawHeaders } = this;
    let bytes = `${method} ${url} HTTP/1.1\r\n\r\n`.length;
    // A colon and an end of line for each header, and mostly a space.
    for (const part of rawHeaders) bytes += part.length + 2;
    return bytes;
  }
}
