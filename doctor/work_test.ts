import { deepStrictEqual } from "node:assert/strict";
import { jobFindings, outboxFindings, scheduleFindings } from "./work.ts";

const levels = (findings: ReturnType<typeof jobFindings>) => findings.map(({ level }) => level);
const NOW = Date.parse("2026-03-01T12:40:00Z");
const [UPKEEP, AUDIT] = ["2026-03-01T12:20:00.000Z", "2026-03-01T02:00:00.000Z"];
const ALL_DAY = [{ from: 0, to: 23 * 60 }];

for (
  const [what, last, quiet, expected] of [
    ["both ran", { upkeep: UPKEEP, audit: AUDIT }, [], ["ok", "ok"]],
    ["none ever ran", {}, [], ["warning", "warning"]],
    ["upkeep is an hour late", { upkeep: "2026-03-01T11:20:00Z", audit: AUDIT }, [], [
      "warning",
      "ok",
    ]],
    ["the audit waits for the quiet hours' end", { upkeep: UPKEEP }, ALL_DAY, ["ok", "note"]],
  ] as const
) {
  Deno.test(`the schedule when ${what}`, () => {
    deepStrictEqual(levels(scheduleFindings(last, quiet, NOW)), expected);
  });
}

Deno.test("work that became due a minute ago isn't late", () => {
  const now = Date.parse("2026-03-01T12:21:00Z");
  const last = { upkeep: "2026-03-01T11:20:00Z", audit: AUDIT };
  deepStrictEqual(levels(scheduleFindings(last, [], now)), ["ok", "ok"]);
});

Deno.test("dead jobs, late ones and lost ones are each a warning", () => {
  const ready = { kind: "upkeep", state: "ready", jobs: 1 } as const;
  const none = { counts: [ready], waiting: [{ kind: "upkeep", seconds: 5 }], expiredLeases: 0 };
  deepStrictEqual(levels(jobFindings(none)), ["ok"]);
  deepStrictEqual(
    jobFindings({
      counts: [ready, { kind: "deep_trace", state: "dead", jobs: 3 }],
      waiting: [{ kind: "upkeep", seconds: 90 }],
      expiredLeases: 2,
    }).map(({ level, message }) => [level, message]),
    [
      ["warning", "Jobs of kind deep_trace that were given up: 3"],
      ["warning", "A job of kind upkeep has been due for 90 s"],
      ["warning", "Running jobs whose worker is lost: 2"],
    ],
  );
});

const WELL = { rows: 3, bytes: 8_192, limit: 1e6, lost: 0, relays: 1, silent: 0.2 };
for (
  const [what, state, expected] of [
    ["nothing", {}, ["ok"]],
    ["a relay that can't be seen", { silent: null }, ["ok"]],
    ["no relay", { relays: 0, silent: null }, ["warning"]],
    ["a silent relay", { silent: 30 }, ["warning"]],
    ["changes that wait", { rows: 1_000 }, ["warning"]],
    ["little room", { bytes: 9e5 }, ["warning"]],
    ["changes that were only counted", { lost: 7 }, ["ok", "note"]],
    ["no relay after changes were only counted", { relays: 0, lost: 7 }, ["warning", "note"]],
  ] as const
) {
  Deno.test(`the outbox with ${what}`, () => {
    deepStrictEqual(levels(outboxFindings({ ...WELL, ...state })), expected);
  });
}
