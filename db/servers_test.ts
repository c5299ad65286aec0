import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { eventually } from "../testing/eventually.ts";
import { onWrongServer, reportWrongServer } from "./servers.ts";

/** A number of listeners of an address, and how often each was called. */
function listeners(address: string, count: number) {
  const calls = Array.from({ length: count }, () => 0);
  const all = calls.map((_, index) =>
    onWrongServer(address, () => calls[index] = (calls[index] ?? 0) + 1)
  );
  return {
    calls,
    [Symbol.dispose]() {
      for (const one of all) one[Symbol.dispose]();
    },
  };
}

const report = (address: string) => reportWrongServer(address, performance.now());

Deno.test("a report reaches all sessions of its address, and no other's", () => {
  using here = listeners("postgres://a@one/x", 3);
  using there = listeners("postgres://a@two/x", 1);
  report("postgres://a@one/x");
  deepStrictEqual([here.calls, there.calls], [[1, 1, 1], [0]]);
  report("postgres://a@nobody/x");
});

Deno.test("many reports cause one departure at once and one more later", async () => {
  using here = listeners("many", 1);
  for (let n = 0; n < 100; n++) report("many");
  deepStrictEqual(here.calls, [1]);
  await eventually("the second departure", () => here.calls[0] === 2);
  for (let n = 0; n < 100; n++) report("many");
  deepStrictEqual(here.calls, [2]);
  await eventually("the third departure", () => here.calls[0] === 3);
});

Deno.test("a connection from before the last departure causes none", async () => {
  const openedAt = performance.now() - 1;
  using old = listeners("stale", 1);
  report("stale");
  for (let n = 0; n < 10; n++) reportWrongServer("stale", openedAt);
  // The other address's second departure comes later than one of the first would.
  using other = listeners("other", 1);
  report("other");
  report("other");
  await eventually("the other's second departure", () => other.calls[0] === 2);
  deepStrictEqual(old.calls, [1]);
});

Deno.test("after disposal nothing is called, not even by a departure that was due", async () => {
  const ended = listeners("ended", 1);
  report("ended");
  report("ended");
  ended[Symbol.dispose]();
  using other = listeners("later", 1);
  report("later");
  report("later");
  await eventually("a later departure", () => other.calls[0] === 2);
  strictEqual(ended.calls[0], 1);
});
