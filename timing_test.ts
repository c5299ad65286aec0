import { deepStrictEqual, rejects } from "node:assert/strict";
import { delay, withDeadline } from "./timing.ts";

const never = new Promise<never>(() => {});

Deno.test("a delay ends with its signal, and leaves no listener and no timer behind", async () => {
  const stop = new AbortController();
  const waiting = delay(60_000, stop.signal);
  stop.abort();
  await waiting;
  await delay(60_000, stop.signal);
});

Deno.test("work that is done in time gives its result, and its failure", async () => {
  const late = () => "late";
  deepStrictEqual(await withDeadline(delay(1).then(() => "done"), 60_000, late), "done");
  await rejects(withDeadline(Promise.reject(new Error("broken")), 60_000, late), /broken/);
});

Deno.test("work that takes too long gives what the timeout returns or throws", async () => {
  deepStrictEqual(await withDeadline(never, 1, () => "late"), "late");
  await rejects(
    withDeadline(never, 1, () => {
      throw new RangeError("too late");
    }),
    RangeError,
  );
});
