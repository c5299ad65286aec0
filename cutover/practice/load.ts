import { connect } from "../../db/connect.ts";
import type { Sql } from "../../db/sql.ts";
import { delay } from "../../timing.ts";
import { listChanges, modeText } from "../routes/route_changes.ts";
import type { PracticeAddresses } from "./practice_files.ts";

interface LoadOptions {
  readonly perSecond: number;
  /** Undefined: until the signal. */
  readonly seconds: number | undefined;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The number of addresses, each a separate client, so that a canary of 1 % moves some. */
const CLIENTS = 200;
const MAX_IN_FLIGHT = 32;
const TIMEOUT_MS = 20_000;
const REPORT_MS = 5_000;
const WATCH_MS = 500;

/** The requests of a plant in turn, by number and run: mostly traces, some writes. */
const KINDS: readonly ((number: number, plant: Plant) => readonly [string, object?])[] = [
  (number, { lots }) => [`/api/traceability/${lots[number % lots.length] ?? "NONE"}`],
  (_, { email }) => ["/api/login", { email }],
  (number, { run }) => ["/api/lots", {
    lot_code: `PRACTICE-${run}-${number}`,
    lot_type: "RAW",
    weight_kg: "12.50",
  }],
  (number, { lots }) => [`/api/traceability/${lots[number % lots.length] ?? "NONE"}`],
  () => ["/api/health"],
  (number, { run }) => ["/api/qc-decisions", {
    decision: "PASS",
    notes: `PRACTICE-${run}-${number}`,
    temperature_c: "3.50",
  }],
];

interface Plant {
  readonly lots: readonly string[];
  readonly email: string;
  /** Makes the codes of this run differ from those of others. */
  readonly run: string;
}

/**
 * Sends the traffic of a plant to the practice's gateway, and prints what comes back and each change of
 * a route, until its time is over or the signal.
 *
 * @returns the number of responses
 */
export async function sendLoad(
  { gatewayUrl, databaseUrl }: PracticeAddresses,
  { perSecond, seconds, print, signal }: LoadOptions,
): Promise<number> {
  const sql = connect({ url: databaseUrl, max: 1, name: "lotline-practice-load" });
  const over = new AbortController();
  const end = AbortSignal.any([
    signal,
    over.signal,
    ...seconds === undefined ? [] : [AbortSignal.timeout(seconds * 1_000)],
  ]);
  const say = (line: string) => print(`${new Date().toISOString().slice(11, 19)}  ${line}`);
  const results = new Map<string, number>();
  try {
    const plant = await readPlant(sql);
    say(`Sending ${perSecond} requests a second to ${gatewayUrl}, from ${CLIENTS} addresses`);
    const watching = watchRoutes(sql, say, end);
    const reporting = report(results, say, end);
    await send(gatewayUrl, plant, { perSecond, end, results });
    over.abort();
    await Promise.all([watching, reporting]);
  } finally {
    await sql.end({ timeout: 1 });
  }
  say(resultText(results));
  return [...results].reduce((sum, [result, count]) => sum + (/^\d/.test(result) ? count : 0), 0);
}

async function readPlant(sql: Sql): Promise<Plant> {
  const lots = await sql<{ lot_code: string }[]>`
    select lot_code from lots where lot_code not like 'PRACTICE-%' order by lot_code limit 200`;
  const [user] = await sql<{ email: string }[]>`select email from users order by email limit 1`;
  return {
    lots: lots.map(({ lot_code }) => encodeURIComponent(lot_code)),
    email: user?.email ?? "nobody@example.invalid",
    run: crypto.randomUUID().slice(0, 8).toUpperCase(),
  };
}

async function send(
  gatewayUrl: string,
  plant: Plant,
  { perSecond, end, results }: {
    readonly perSecond: number;
    readonly end: AbortSignal;
    readonly results: Map<string, number>;
  },
): Promise<void> {
  const inFlight = new Set<Promise<void>>();
  const began = performance.now();
  for (let number = 0; !end.aborted; number++) {
    const early = began + number * 1_000 / perSecond - performance.now();
    if (early > 1) await delay(early, end);
    while (inFlight.size >= MAX_IN_FLIGHT) await Promise.race(inFlight);
    const [path, body] = KINDS[number % KINDS.length]?.(number, plant) ?? ["/api/health"];
    const client = number % CLIENTS;
    const one: Promise<void> = fetch(gatewayUrl + path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        "x-forwarded-for": `10.1.${client >> 6}.${client & 63}`,
        ...body !== undefined && { "content-type": "application/json" },
      },
      ...body !== undefined && { body: JSON.stringify(body) },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).then(async (response) => {
      await response.text();
      return String(response.status);
    }).catch(() => "no response").then((result) => {
      results.set(result, (results.get(result) ?? 0) + 1);
      inFlight.delete(one);
    });
    inFlight.add(one);
  }
  await Promise.all(inFlight);
}

async function report(
  results: ReadonlyMap<string, number>,
  say: (line: string) => void,
  end: AbortSignal,
): Promise<void> {
  for (;;) {
    await delay(REPORT_MS, end);
    if (end.aborted) return;
    say(resultText(results));
  }
}

/** Such as `120 requests: 100 with 200, 20 with 201`. */
function resultText(results: ReadonlyMap<string, number>): string {
  const counts = [...results].sort();
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  const each = counts.map(([result, count]) => `${count} with ${result}`);
  return `${all} requests: ${each.join(", ") || "no response yet"}`;
}

/** Prints each change of a route, also an automatic one. */
async function watchRoutes(
  sql: Sql,
  say: (line: string) => void,
  end: AbortSignal,
): Promise<void> {
  let last = (await listChanges(sql, { limit: 1 }))[0]?.id ?? "0";
  while (!end.aborted) {
    await delay(WATCH_MS, end);
    // PostgreSQL may be unavailable in a practice.
    const changes = await listChanges(sql, { limit: 20 }).catch(() => []);
    for (const change of changes.filter(({ id }) => Number(id) > Number(last)).reverse()) {
      last = change.id;
      const { what, automatic, operation, who, why } = change;
      const from = modeText(change.from_mode, change.from_percent);
      const to = modeText(change.to_mode, change.to_percent);
      const moved = operation === null ? "all routes" : `${operation} from ${from} to ${to}`;
      say(`${automatic ? "AUTOMATIC ROLLBACK" : what}: ${moved}, by ${who}: ${why}`);
    }
  }
}
