import { strictEqual } from "node:assert/strict";
import { isRecent, STALE_MS } from "./watch_routes.ts";

const READ = { at: 1_000, dayAt: 50_000 };

for (
  const [what, now, dayNow, expected] of [
    ["it was a moment ago", 1_001, 50_001, true],
    ["the clock of the day was set back", 1_001, 10_000, true],
    ["it was too long ago", 1_000 + STALE_MS, 50_000 + STALE_MS, false],
    ["the machine was paused since", 1_001, 50_000 + 3_600_000, false],
    ["it was too long ago, and the clock of the day was set back", 1_000 + STALE_MS, 10_000, false],
  ] as const
) {
  Deno.test(`${expected ? "a read is fresh enough" : "a read is too old"}: ${what}`, () => {
    strictEqual(isRecent(READ, now, dayNow), expected);
  });
}
