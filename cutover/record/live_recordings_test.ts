import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { bytesOf } from "../parity/exchange.ts";
import { exchangeName, loadRecordings, type RecordedRequest } from "../parity/recordings.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startLegacy } from "../legacy/server.ts";
import { loadApprovals, loadLiveRules, recordedRulesOf } from "../compare/approvals.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { createSender, type Sender } from "../upstream/send.ts";
import { compare } from "../compare/compare.ts";
import { type CapturedRequest, type CapturedResponse, headerOf } from "../exchange/exchange.ts";
import { LEGACY } from "../exchange/operations.gen.ts";

const { scenarios } = await loadRecordings();
const approvals = await loadApprovals();
const rules = await loadLiveRules();

Deno.test("the recorded requests, sent to both servers at once: the same, or allowed as approved", async () => {
  const seed = await loadSeed();
  // Each has its own database, so that both can store the same lot.
  await using oldDatabase = await freshDatabase();
  await using newDatabase = await freshDatabase();
  await using old = await startLegacy({ databaseUrl: oldDatabase.url, port: 0 });
  await using api = await startApi({ databaseUrl: newDatabase.url });
  using legacy = createSender(old.url, 2);
  using service = createSender(api.url, 2);
  const counts = { same: 0, approved: 0, unknown: 0 };
  let isClean = false;
  for (const scenario of scenarios) {
    if (!isClean) {
      await Promise.all([oldDatabase, newDatabase].map(({ sql }) => resetToSeed(sql, seed)));
    }
    isClean = scenario.steps.every(({ request }) => !isWrite(request));
    const tags: (string | undefined)[] = [];
    for (const [step, { request: recorded }] of scenario.steps.entries()) {
      const exchange = exchangeName(scenario, step);
      const operation = intendedOperation(recorded.path);
      if (operation === undefined) {
        counts.unknown++;
        continue;
      }
      const request = capturedFrom(recorded, tags);
      const from = Date.now();
      const [was, is, again] = await Promise.all([
        send(legacy, request),
        send(service, request),
        // What is stored once would be taken the second time.
        isWrite(recorded) ? undefined : send(legacy, request),
      ]);
      tags.push(headerOf(was.headers, "etag"));
      const times = { from, to: Date.now(), clocksApartMs: 300_000 };
      const pair = { operation, request, times, legacy: was, service: is };
      if (again !== undefined) {
        strictEqual(compare({ ...pair, service: again }, []).outcome, "same", exchange);
      }
      const found = compare(pair, rules);
      // Of a lot that was stored a step before, each side has its own id and moment.
      const own = found.differences.map(({ place }) => place);
      if (step > 0 && recorded.method === "GET" && own.length > 0) {
        deepStrictEqual(own.filter((place) => !MADE_BEFORE.includes(place)), [], exchange);
        continue;
      }
      const approval = recordedRulesOf(approvals, exchange)[0]?.id;
      deepStrictEqual(
        [found.outcome, found.approvals, found.differences],
        approval === undefined ? ["same", [], []] : ["approved", [approval], []],
        exchange,
      );
      counts[approval === undefined ? "same" : "approved"]++;
    }
  }
  // Paths that are no operation's aren't compared: the old server responds to them.
  strictEqual(counts.unknown, 3);
  ok(counts.same > 80 && counts.approved > 40, JSON.stringify(counts));
});

function isWrite({ method, path }: RecordedRequest): boolean {
  return method === "POST" && /^\/api\/(?:lots|qc)/i.test(path);
}

const MADE_BEFORE = ["body.central.id", "body.central.created_at"];

async function send(sender: Sender, request: CapturedRequest): Promise<CapturedResponse> {
  const requested = await sender.send(request, 10_000);
  if ("failure" in requested) throw new Error(`no response: ${requested.failure}`);
  return requested;
}

function capturedFrom(
  recorded: RecordedRequest,
  tags: readonly (string | undefined)[],
): CapturedRequest {
  const headers = Object.entries(recorded.headers).map(([name, value]): [string, string] => [
    name,
    value.replaceAll(/\{\{etag (\d+)\}\}/g, (_, step) => tags[Number(step)] ?? ""),
  ]);
  const { method, path } = recorded;
  return { method, target: path, headers, body: new Uint8Array(bytesOf(recorded) ?? []) };
}

/** By the fixed part of the path: also of a request that names no lot, or something below the path. */
function intendedOperation(target: string) {
  const start = startOf(target.toLowerCase());
  return LEGACY.find(({ path }) => startOf(path) === start)?.operation;
}

/** The first two segments of a path. */
const startOf = (target: string) => target.split(/[/?]/, 3).join("/");
