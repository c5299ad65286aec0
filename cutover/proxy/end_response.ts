import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";

/** With a head this is less than the 16 kB of text that Deno's sockets write at once. */
const WRITTEN_AT_ONCE_BYTES = 12_000;

/**
 * Ends the response. A short last part is written as Latin-1 text, in one write with the head. With
 * bytes Node makes two writes and waits for them, which costs three times as much and keeps the memory
 * of the upstream's bytes until the next major collection.
 */
export function endResponse(response: ServerResponse, last: Uint8Array | undefined): void {
  if (last === undefined || last.length > WRITTEN_AT_ONCE_BYTES) {
    response.end(last);
    return;
  }
  response.write(
    Buffer.from(last.buffer, last.byteOffset, last.length).toString("latin1"),
    "latin1",
  );
  // Otherwise it waits for more until the next tick.
  response.socket?.uncork();
  response.end();
}
