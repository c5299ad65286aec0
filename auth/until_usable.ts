import type { Valkey } from "../cache/valkey.ts";
import { delay } from "../timing.ts";

const TRIES = 20;
const PAUSE_MS = 50;

/** Waits for the first connection of a command; after a second the command goes on without Valkey. */
export async function untilUsable(valkey: Valkey | undefined): Promise<void> {
  for (let tries = 0; valkey && tries < TRIES && !await valkey.isUsable(); tries++) {
    await delay(PAUSE_MS);
  }
}
