import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";

/** With a head it is less than the 16 kB of text that Deno's sockets write at once. */
const WRITTEN_AT_ONCE_BYTES = 12_000;

/**
 * Ends the answer. A short last part goes as text, a letter a byte: head and text are then written
 * at once. With bytes Node makes two pieces of them, and a write that is waited for, which costs
 * three times as much and holds the memory of what was read until the next great collection.
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
  // It waits for more until the next tick, and there is no more.
  response.socket?.uncork();
  response.end();
}
