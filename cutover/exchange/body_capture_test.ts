import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import { ALWAYS_CAPTURED_BYTES, BodyCapture, ByteBudget, digestOf } from "./body_capture.ts";

const bytes = (length: number) => new Uint8Array(length).map((_, at) => at % 251);
const sha256 = (body: Uint8Array) => createHash("sha256").update(body).digest("hex");

/** A body that arrives in pieces of 10 kB. */
function captured(body: Uint8Array, max: number, budget?: ByteBudget): BodyCapture {
  const capture = new BodyCapture(max, budget);
  for (let at = 0; at < body.length; at += 10_000) capture.append(body.slice(at, at + 10_000));
  return capture;
}

Deno.test("a body is captured up to the bound, a longer one by its digest", () => {
  const body = bytes(100_000);
  const whole = captured(body, 100_000);
  deepStrictEqual([whole.body, whole.digest], [body, undefined]);
  const long = captured(body, 99_999);
  deepStrictEqual([long.body, long.digest], [undefined, {
    bytes: 100_000,
    sha256: sha256(body),
  }]);
  deepStrictEqual(long.digest, digestOf({ body }), "the result may be read twice");
});

Deno.test("long bodies share a budget and release it; short ones need none", () => {
  const budget = new ByteBudget(400_000);
  const first = captured(bytes(100_000), 1_000_000, budget);
  strictEqual(first.body?.length, 100_000);
  // Twice its size.
  strictEqual(budget.available, 200_000);
  const second = captured(bytes(120_000), 1_000_000, budget);
  strictEqual(second.body, undefined);
  strictEqual(second.digest?.sha256, sha256(bytes(120_000)));
  strictEqual(budget.available, 200_000, "what is known by its digest holds nothing");
  budget.reserve(budget.available);
  strictEqual(
    captured(bytes(ALWAYS_CAPTURED_BYTES), 1_000_000, budget).body?.length,
    ALWAYS_CAPTURED_BYTES,
  );
  first.release();
  first.release();
  strictEqual(budget.available, 200_000);
});
