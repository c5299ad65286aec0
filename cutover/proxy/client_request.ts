import type { Buffer } from "node:buffer";
import { IncomingMessage } from "node:http";

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
