import { deepStrictEqual, ok } from "node:assert/strict";
import { startLegacy } from "../legacy/server.ts";
import { startApi } from "../../testing/api.ts";
import { postDry, SECRET } from "../../testing/dry_run.ts";
import { bytesOf } from "../../testing/raw_http.ts";
import { zonedDatabase } from "../../testing/zoned_database.ts";
import { compareServers } from "../testing/both_servers.ts";
import type { HeaderLines } from "../exchange/exchange.ts";
import { loadLiveRules } from "./approvals.ts";

/*
 * Times, sent to the old server's stand-in and to Lotline on databases with one time zone: both store
 * the same. What Lotline refuses is approved by kind (docs/decisions/0014).
 */

const rules = await loadLiveRules();
const JSON_TYPE: HeaderLines = [["content-type", "application/json"]];

/** Between these local times no time exists, or each of them twice. */
const CHANGES: Readonly<Record<string, readonly [from: string, to: string][]>> = {
  "Europe/Berlin": [
    ["2026-03-29T02:00:00", "2026-03-29T03:00:00"],
    ["2026-10-25T02:00:00", "2026-10-25T03:00:00"],
  ],
  "America/St_Johns": [
    ["2026-03-08T02:00:00", "2026-03-08T03:00:00"],
    ["2026-11-01T01:00:00", "2026-11-01T02:00:00"],
    // Until 2011 it changed a minute after midnight.
    ["2006-04-02T00:01:00", "2006-04-02T01:01:00"],
    ["2006-10-28T23:01:00", "2006-10-29T00:01:00"],
  ],
  // Half an hour.
  "Australia/Lord_Howe": [
    ["2026-04-05T01:30:00", "2026-04-05T02:00:00"],
    ["2026-10-04T02:00:00", "2026-10-04T02:30:00"],
  ],
  // A whole day was left out.
  "Pacific/Apia": [["2011-12-30T00:00:00", "2011-12-31T00:00:00"]],
  UTC: [["2026-03-29T02:00:00", "2026-03-29T03:00:00"]],
};

/** A local time, some seconds later. */
function later(local: string, seconds: number): string {
  return new Date(Date.parse(`${local}Z`) + seconds * 1_000).toISOString().slice(0, 19);
}

function timesAround([from, to]: readonly [string, string]): string[] {
  const middle = (Date.parse(`${to}Z`) - Date.parse(`${from}Z`)) / 2_000;
  const locals = [from, to].flatMap((edge) => [-1, 0, 1].map((seconds) => later(edge, seconds)));
  return [...locals, later(from, middle), later(from, -86_400), later(to, 86_400)].flatMap((
    local,
  ) => [
    local,
    local.replace("T", " "),
    `${local}.999999`,
    local.slice(0, 16),
    local.slice(0, 10),
    local.replaceAll("-", "").replaceAll(":", ""),
    `${local}+05:30`,
    `${local}Z`,
    `${local} CET`,
    `${local} Asia/Tokyo`,
  ]);
}

const SAME: readonly (string | number | null)[] = [
  null,
  20260718,
  "20260718",
  "2026-07-18 24:00",
  "2026-07-18 23:59:60",
  "2026-07-18 10:00 -3:30",
  "2026-07-18T10:00:00+0530",
  "2026-07-18t10:00:00.5z",
  " 2026-07-18 ",
  "Jul 18 2026",
  "18 July 2026 10:00",
  "7/8/2026",
  "2026-199",
  "J2461240",
  "2026-07-18 10:00 PM",
  "2026-07-18 10:00 EST",
  "2026-07-18 10:00 AEST",
  "2026-07-18 10:00 America/St_Johns",
  "1879-12-31 23:59:59",
  "1900-01-01",
  "1945-05-24 02:30",
  "0001-01-02",
  "9999-12-30T23:59:59.999999",
];

const REFUSED: readonly (string | number)[] = [
  "today",
  "tomorrow 10:00",
  "now",
  "infinity",
  "epoch",
  "2026-02-30",
  "2026-07-18 25:00",
  "2026-07-18 10:00 Mars/Base",
  "12026-01-01",
  "2026-07-18 BC",
  "noon",
  "10:00 2026-07-18",
  "2026-07-18 10:00 <+02>-02",
  "10:00",
  "",
];

// Which of them are years of UTC depends on the zone.
const EDGES = ["0001-01-01T00:30", "0001-01-01", "9999-12-31T23:30", "9999-12-31T23:30:00Z"];

for (const [zone, changes] of Object.entries(CHANGES)) {
  Deno.test(`both servers store the same times on databases in ${zone}, and a dry run shows them`, async () => {
    // As a server has it that was set up in Europe.
    const dateStyle = zone === "Europe/Berlin" ? "ISO, DMY" : "ISO, MDY";
    await using oldDatabase = await zonedDatabase({ database: zone, dateStyle });
    await using newDatabase = await zonedDatabase({ database: zone, dateStyle });
    await using old = await startLegacy({ databaseUrl: oldDatabase.url, port: 0 });
    await using api = await startApi({
      databaseUrl: newDatabase.url,
      environment: { DRY_RUN_SECRET: SECRET },
    });
    using servers = compareServers({ legacyUrl: old.url, serviceUrl: api.url, rules });

    const wrong: unknown[] = [];
    const send = async (sent: string | number | null, allowed: string, number: number) => {
      const decides = number % 2 === 1;
      const operation = decides ? "createQcDecision" : "createLot";
      const target = decides ? "/api/qc-decisions" : "/api/lots";
      const fields = decides ? { decided_at: sent } : { lot_code: `L-${number}`, created_at: sent };
      const text = JSON.stringify(fields);
      const dry = await postDry(api, target, text);
      const body = bytesOf(text);
      const request = { method: "POST", target, headers: JSON_TYPE, body };
      const { found, legacy, service } = await servers.send(operation, request);
      const real = JSON.parse(new TextDecoder().decode(service.body));
      const isDrySame = decides
        ? dry.json.decided_at === real.decided_at
        : dry.json.created_at === real.created_at;
      const isAllowed = found.outcome === "same" || found.outcome === allowed;
      if (isAllowed && (isDrySame || sent === null)) return;
      wrong.push({ sent, found, dry: dry.text, was: new TextDecoder().decode(legacy.body) });
    };

    let number = 0;
    for (const sent of [...changes.flatMap(timesAround), ...SAME]) {
      await send(sent, "same", number++);
    }
    for (const sent of [...REFUSED, ...EDGES]) {
      await send(sent, "approved", number++);
    }
    deepStrictEqual(wrong, []);

    const [before, now] = await Promise.all(
      [oldDatabase, newDatabase].map(({ sql }) =>
        sql<{ code: string; at: string }[]>`
          select lot_code as code, to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as at
          from lots where created_at is not null order by lot_code collate "C"`
      ),
    );
    const byCode = new Map(before?.map(({ code, at }) => [code, at]));
    deepStrictEqual((now ?? []).filter(({ code, at }) => byCode.get(code) !== at), []);
    ok((now?.length ?? 0) > 40, `${now?.length} lots`);
  });
}

Deno.test("TIME_ZONE is the zone of the stand-in and of Lotline, whatever their databases have", async () => {
  await using oldDatabase = await zonedDatabase({ database: "Europe/Berlin" });
  await using newDatabase = await zonedDatabase({ database: "UTC" });
  const zone = "America/St_Johns";
  await using old = await startLegacy({ databaseUrl: oldDatabase.url, port: 0, timeZone: zone });
  await using api = await startApi({
    databaseUrl: newDatabase.url,
    environment: { TIME_ZONE: zone },
  });
  const created = async (base: string) => {
    const response = await fetch(`${base}/api/lots`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ lot_code: "L-1", created_at: "2026-11-01 01:30" }),
    });
    return (await response.json()).created_at;
  };
  deepStrictEqual(await Promise.all([created(old.url), created(api.url)]), [
    "2026-11-01T05:00:00.000Z",
    "2026-11-01T05:00:00.000Z",
  ]);
});
