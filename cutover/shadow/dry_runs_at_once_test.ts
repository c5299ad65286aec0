import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { DRY_RUN_HEADER } from "../../contract/dry_run.ts";
import { answerOf, captured } from "../testing/captured.ts";
import { createDryRuns } from "./dry_runs.ts";
import type { Asked } from "../exchange/exchange.ts";

const WRITE = captured("POST", "/api/lots", "{}");

/** Dry runs whose answers come when a test says. */
function dryRuns(silences = 3) {
  const waiting: ((asked: Asked) => void)[] = [];
  const effects: number[] = [];
  const lines: string[] = [];
  const { ofWrite } = createDryRuns({
    asker: {
      ask: () => new Promise((resolve) => waiting.push(resolve)),
      [Symbol.dispose]: () => {},
    },
    secret: "a secret of more than thirty-two characters",
    log: (level, event) => lines.push(`${level} ${event}`),
    limits: { writeMs: 300, silences, pauseMs: 0 },
    onEffect: ({ status }) => effects.push(status),
  });
  return { ask: () => ofWrite(WRITE, [], 1_000), waiting, effects, lines };
}

Deno.test("of two dry runs at once that may both have been executed one is told of, and no more are asked for", async () => {
  const { ask, waiting, effects, lines } = dryRuns();
  const both = [ask(), ask()];
  for (const answer of waiting) answer(answerOf(201, "{}"));
  await Promise.all(both);
  deepStrictEqual([effects, lines.length], [[201], 1]);
  deepStrictEqual(await ask(), { silence: "not_asked", ms: 0 });
  strictEqual(waiting.length, 2);
});

Deno.test("after a pause one write tries it for all, and the others don't wait for it", async () => {
  const { ask, waiting } = dryRuns(1);
  const first = ask();
  waiting[0]?.({ silence: "timeout", ms: 300 });
  await first;
  const probe = ask();
  deepStrictEqual(await ask(), { silence: "not_asked", ms: 0 });
  strictEqual(waiting.length, 2);
  waiting[1]?.(answerOf(422, "{}", { [DRY_RUN_HEADER]: "done" }));
  await probe;
  ask();
  strictEqual(waiting.length, 3, "it has answered: everybody asks again");
});

Deno.test("a write of before the pause that is answered late lets no second one try", async () => {
  const { ask, waiting } = dryRuns(1);
  const [silent, late] = [ask(), ask()];
  waiting[0]?.({ silence: "timeout", ms: 300 });
  await silent;
  ask();
  waiting[1]?.({ silence: "timeout", ms: 300 });
  await late;
  deepStrictEqual(await ask(), { silence: "not_asked", ms: 0 });
  strictEqual(waiting.length, 3);
});

Deno.test("a try after the pause that is silent too is followed by another one", async () => {
  const { ask, waiting } = dryRuns(1);
  for (let tries = 0; tries < 3; tries++) {
    const asked = ask();
    waiting[tries]?.({ silence: "timeout", ms: 300 });
    deepStrictEqual(await asked, { silence: "timeout", ms: 300 });
  }
});
