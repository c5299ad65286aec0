import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { type NextState, nextState, type Outcome } from "./outcome.ts";

Deno.test("a failed job waits twice as long each time, up to an hour, and is dead after its last attempt", () => {
  const cases: [attempt: number, most: number, jitter: number, inMs: number | undefined][] = [
    [1, 5, 1, 2_000],
    [1, 5, 0, 1_000],
    [2, 5, 1, 4_000],
    [4, 5, 0.5, 12_000],
    [5, 5, 1, undefined],
    [6, 5, 1, undefined],
    [1, 1, 1, undefined],
    [11, 100, 1, 2_048_000],
    [12, 100, 1, 3_600_000],
    [99, 100, 0, 1_800_000],
    [2_000, 3_000, 1, 3_600_000],
  ];
  for (const [attempt, max, jitter, inMs] of cases) {
    const next = nextState({ is: "stopped", why: "timeout" }, attempt, max, jitter);
    ok(next.is === "failed");
    strictEqual(next.retryInMs, inMs, `attempt ${attempt} of ${max}`);
  }
});

Deno.test("a job stopped by the database's state waits twice as long each time, up to five minutes", () => {
  const cases: [uncounted: number, jitter: number, inMs: number][] = [
    [0, 1, 2_000],
    [0, 0, 1_000],
    [1, 1, 4_000],
    [7, 1, 256_000],
    [8, 1, 300_000],
    [99, 0, 150_000],
    [2_000, 1, 300_000],
  ];
  for (const [uncounted, jitter, inMs] of cases) {
    const next = nextState({ is: "stopped", why: "database away" }, 1, 1, jitter, uncounted);
    ok(next.is === "postponed");
    strictEqual(next.retryInMs, inMs, `after ${uncounted}`);
  }
});

const failure = (message: string) => {
  const error = new Error(message);
  delete error.stack;
  return error;
};

Deno.test("the next state of a job follows from the end of its attempt", () => {
  const threw: Outcome = { is: "threw", error: failure("no") };
  const cases: [Outcome, attempt: number, NextState][] = [
    [{ is: "completed" }, 1, { is: "finished" }],
    [{ is: "completed" }, 3, { is: "finished" }],
    [threw, 1, { is: "failed", error: "Error: no", retryInMs: 2_000 }],
    [threw, 3, { is: "failed", error: "Error: no" }],
    [{ is: "threw", error: "text" }, 3, { is: "failed", error: "text" }],
    [{ is: "threw", error: undefined }, 3, { is: "failed", error: "undefined" }],
    [{ is: "invalid_args", message: "a number" }, 1, {
      is: "postponed",
      error: "a number",
      retryInMs: 2_000,
    }],
    [{ is: "quiet", endMs: 60_000 }, 3, { is: "deferred", retryInMs: 60_000 }],
    [{ is: "stopped", why: "cancelled" }, 1, { is: "cancelled" }],
    [{ is: "stopped", why: "cancelled" }, 3, { is: "cancelled" }],
    [{ is: "stopped", why: "shutdown" }, 3, { is: "released" }],
    [{ is: "stopped", why: "lease lost" }, 3, { is: "lease_lost" }],
    [{ is: "stopped", why: "timeout" }, 1, {
      is: "failed",
      error: "it took longer than its kind may take",
      retryInMs: 2_000,
    }],
    [{ is: "stopped", why: "timeout" }, 3, {
      is: "failed",
      error: "it took longer than its kind may take",
    }],
  ];
  for (const [outcome, attempt, next] of cases) {
    deepStrictEqual(nextState(outcome, attempt, 3, 1), next, JSON.stringify(outcome));
  }
});

Deno.test("the database's state costs no attempt, the first or the last; a timeout does", () => {
  const full = Object.assign(failure("full"), { code: "53100" });
  const slow = Object.assign(failure("slow"), { code: "57014" });
  const wrapped = failure("around");
  wrapped.cause = full;
  const cases: [Outcome, is: NextState["is"]][] = [
    [{ is: "threw", error: full }, "postponed"],
    [{ is: "threw", error: wrapped }, "postponed"],
    [{ is: "stopped", why: "database away" }, "postponed"],
    [{ is: "threw", error: slow }, "failed"],
  ];
  for (const [outcome, is] of cases) {
    for (const attempt of [1, 3]) {
      strictEqual(nextState(outcome, attempt, 3, 1).is, is, JSON.stringify(outcome));
    }
  }
  const next = nextState({ is: "threw", error: wrapped }, 3, 3, 1, 2);
  deepStrictEqual(next, {
    is: "postponed",
    error: "Error: around <- Error [53100]: full",
    retryInMs: 8_000,
  });
});

Deno.test("an error of any length and content can be stored", () => {
  const next = nextState({ is: "threw", error: failure(`a\0b${"😀".repeat(5_000)}`) }, 3, 3, 1);
  ok(next.is === "failed");
  match(next.error, /^Error: a\ufffdb😀/);
  strictEqual(next.error.length, "Error: ".length + 500);
  ok(next.error.isWellFormed());
});
