import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { withDeadline } from "../testing/eventually.ts";
import { orAborted, sleep, waitBeforeRetry } from "./retry.ts";

type Given = [status: number | undefined, retryAfterMs: number | undefined, tries: number];

const WAITS: [given: Given, least: number | undefined, most: number | undefined][] = [
  [[undefined, undefined, 1], 125, 250],
  [[503, undefined, 1], 125, 250],
  [[503, undefined, 3], 500, 1_000],
  [[502, undefined, 4], 1_000, 2_000],
  [[504, undefined, 1], 125, 250],
  [[429, undefined, 1], 125, 250],
  [[503, 1_000, 1], 1_000, 1_250],
  [[503, 0, 2], 500, 625],
  [[409, 1_000, 1], 1_000, 1_250],
  [[429, 30_000, 1], 30_000, 37_500],
  // Longer than a client waits.
  [[429, 30_001, 1], undefined, undefined],
  // A conflict that stays one, and what another try can't change.
  [[409, undefined, 1], undefined, undefined],
  ...[200, 201, 304, 400, 401, 403, 404, 408, 422, 500, 501].map((
    status,
  ): [Given, undefined, undefined] => [[status, 1_000, 1], undefined, undefined]),
  // Often enough.
  [[503, undefined, 5], undefined, undefined],
  [[undefined, undefined, 5], undefined, undefined],
];

Deno.test("what may pass is tried again: ever later, as late as the service asks, not for ever", () => {
  const at = ([status, retryAfterMs, tries]: Given, jitter: number) =>
    waitBeforeRetry({ status, retryAfterMs }, { tries, retries: 4 }, jitter);
  for (const [given, min, max] of WAITS) {
    deepStrictEqual([at(given, 0), at(given, 1)], [min, max], given.join());
  }
});

Deno.test("no wait without an end, however many tries there are", () => {
  const outcome = { status: 503, retryAfterMs: undefined };
  strictEqual(waitBeforeRetry(outcome, { tries: 2_000, retries: 2_000 }, 1), 5_000);
});

Deno.test("waiting ends with the signal, with its reason", async () => {
  const reason = new Error("enough");
  await rejects(sleep(60_000, AbortSignal.abort(reason)), reason);
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 10);
  const waiting = orAborted(sleep(60_000, controller.signal), controller.signal);
  await withDeadline("the minute ends early", rejects(waiting, reason));
});
