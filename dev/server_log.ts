/**
 * The log file of a server that we start.
 *
 * @module
 */

import type { ServerUser } from "./state_folder.ts";

// Enough to see what happened, without gigabytes in a development folder.
const LIMIT_BYTES = 2_000_000;

/** Makes the file writable for the server's user, and empties it when it has become large. */
export function prepareLog(path: string, user: ServerUser | undefined): { since(): string } {
  const file = Deno.openSync(path, { write: true, create: true });
  if (file.statSync().size > LIMIT_BYTES) file.truncateSync();
  const start = file.statSync().size;
  file.close();
  if (user) Deno.chownSync(path, user.uid, user.gid);
  return {
    /** Text written after the call. */
    since: () => new TextDecoder().decode(Deno.readFileSync(path).subarray(start)).trim(),
  };
}

/** The last lines of a log. */
export function logTail(text: string, lines = 12): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
