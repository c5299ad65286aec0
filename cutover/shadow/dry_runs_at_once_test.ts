import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { DRY_RUN_HEADER } from "../../contract/dry_run.ts";
import { captured, responseOf } from "../testing/captured.ts";
import { createDryRuns } from "./dry_runs.ts";
import type { Exchange } from "../exchange/exchange.ts";

const WRITE = captured("POST", "/api/lots", "{}");

/** Dry runs whose responses come when a test decides. */
function dryRuns(silences = 3) {
  const waiting: ((requested: Exchange) => void)[] = [];
  const effects: number[] = [];
  const lines: string[] = [];
  const { beforeWrite: ofWrite } = createDryRuns({
    sender: {
      send: () => new Promise((resolve) => waiting.push(resolve)),
      [Symbol.dispose]: () => {},
    },
    secret: "a secret of more than thirty-two characters",
    log: (level, event) => lines.push(`${level} ${event}`),
    limits: { writeMs: 300, failures: silences, pauseMs: 0 },
    onEffect: ({ status }) => effects.push(status),
  });
  return { ask: () => ofWrite(WRITE, [], 1_000), waiting, effects, lines };
}

Deno.test("of two concurrent dry runs that may both have been executed one is reported, and no more are sent", async () => {
  const { ask: send, waiting, effects, lines } = dryRuns();
  const both = [send(), send()];
  for (const response of waiting) response(responseOf(201, "{}"));
  await Promise.all(both);
  deepStrictEqual([effects, lines.length], [[201], 1]);
  deepStrictEqual(await send(), { failure: "not_asked", ms: 0 });
  strictEqual(waiting.length, 2);
});

Deno.test("after a pause one write tries it for all, and the others don't wait for it", async () => {
  const { ask: send, waiting } = dryRuns(1);
  const first = send();
  waiting[0]?.({ failure: "timeout", ms: 300 });
  await first;
  const probe = send();
  deepStrictEqual(await send(), { failure: "not_asked", ms: 0 });
  strictEqual(waiting.length, 2);
  waiting[1]?.(responseOf(422, "{}", { [DRY_RUN_HEADER]: "done" }));
  await probe;
  send();
  strictEqual(waiting.length, 3, "it has responded: every write is sent again");
});

Deno.test("a late response to a write before the pause allows no second try", async () => {
  const { ask: send, waiting } = dryRuns(1);
  const [silent, late] = [send(), send()];
  waiting[0]?.({ failure: "timeout", ms: 300 });
  await silent;
  send();
  waiting[1]?.({ failure: "timeout", ms: 300 });
  await late;
  deepStrictEqual(await send(), { failure: "not_asked", ms: 0 });
  strictEqual(waiting.length, 3);
});

Deno.test("a try after the pause without a response is followed by another one", async () => {
  const { ask: send, waiting } = dryRuns(1);
  for (let tries = 0; tries < 3; tries++) {
    const requested = send();
    waiting[tries]?.({ failure: "timeout", ms: 300 });
    deepStrictEqual(await requested, { failure: "timeout", ms: 300 });
  }
});
