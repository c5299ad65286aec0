import type { Sql } from "../../db/connect.ts";
import { compare } from "../../gateway/compare.ts";
import { fieldsOf } from "../../gateway/conditions.ts";
import type { Difference } from "../../gateway/evidence.ts";
import type { CapturedAnswer, CapturedRequest } from "../../gateway/exchange.ts";
import { loadLiveRules } from "../../gateway/live_approvals.ts";
import type { OldOperation } from "../../gateway/operations.ts";
import { findOperation } from "../../gateway/paths.ts";
import { fieldOf, parseJsonText, stringOf } from "../../gateway/json_text.ts";
import { plainText } from "../../gateway/plain_body.ts";
import type { Mode } from "../../gateway/route.ts";
import { loadSeed, resetToSeed } from "../../parity/seed.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase, type TestDatabase } from "../../testing/database.ts";
import { DRY_RUN_SECRET, routeOf, shadowRig } from "../../testing/shadow_rig.ts";
import { startTestFront } from "../../testing/front.ts";
import { startLegacyProcess } from "../../testing/legacy_process.ts";
import type { Major } from "../../testing/postgres_servers.ts";
import type { WireRequest } from "./draft.ts";
import { sendOnWire } from "./wire.ts";

/**
 * The old server's stand-in and Lotline, each on a database of its own with the seed's rows, and what
 * asks them the same.
 */
export interface Twins extends AsyncDisposable {
  readonly legacyUrl: string;
  /** A way to ask both, of one operation: what it stores is gone afterwards. */
  lane(operation: OldOperation): Promise<Lane>;
}

/** Asks both, one request after the other. */
export interface Lane extends AsyncDisposable {
  ask(request: WireRequest, mayBeRefused: boolean): Promise<Trial>;
}

/**
 * What became of a request. `refused`: by the gateway, before either side saw it. `elsewhere`: it asks
 * for nothing that both sides know.
 */
export interface Trial {
  readonly outcome: "same" | "approved" | "refused" | "elsewhere" | "different";
  readonly approvals: readonly string[];
  /** What nothing allows; each says what was compared. */
  readonly differences: readonly Difference[];
  readonly legacy: CapturedAnswer | undefined;
  readonly service: CapturedAnswer | undefined;
}

const rules = await loadLiveRules();

const TABLES: Partial<Record<OldOperation, "lots" | "qc_decisions">> = {
  createLot: "lots",
  createQcDecision: "qc_decisions",
};

/** Starts both sides. `serviceUrl` stands before Lotline, to spoil its answers. */
export async function startTwins(
  options: {
    readonly major?: Major;
    readonly serviceUrl?: (api: string) => Promise<{ readonly url: string } & AsyncDisposable>;
  } = {},
): Promise<Twins> {
  await using stack = new AsyncDisposableStack();
  const { major = 17 } = options;
  const [ofLegacy, ofService] = [
    stack.use(await freshDatabase({ major })),
    stack.use(await freshDatabase({ major })),
  ];
  const seed = await loadSeed();
  for (const { sql } of [ofLegacy, ofService]) await resetToSeed(sql, seed);
  const legacy = stack.use(await startLegacyProcess({ databaseUrl: ofLegacy.url }));
  const api = stack.use(
    await startApi({
      databaseUrl: ofService.url,
      environment: { DRY_RUN_SECRET },
    }),
  );
  const service = options.serviceUrl && stack.use(await options.serviceUrl(api.url));
  const parts = stack.move();
  return {
    legacyUrl: legacy.url,
    lane: (operation) =>
      startLane(operation, {
        legacy: { url: legacy.url, database: ofLegacy },
        service: { url: service?.url ?? api.url, database: ofService },
      }),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

interface Side {
  readonly url: string;
  readonly database: TestDatabase;
}

interface Sides {
  readonly legacy: Side;
  readonly service: Side;
}

/** Patient: on a busy machine a dry run takes its time, and nobody waits. */
const PATIENT = { writeMs: 30_000, askMs: 30_000, silences: 1_000 };
const DRAIN_MS = 60_000;

async function startLane(operation: OldOperation, { legacy, service }: Sides): Promise<Lane> {
  const rig = shadowRig({ legacyUrl: legacy.url, serviceUrl: service.url, limits: PATIENT });
  let mode: Mode = { name: "shadow" };
  const front = await startTestFront({
    legacyUrl: legacy.url,
    serviceUrl: service.url,
    modeNow: () => mode,
    dryRun: (...asked) => rig.shadow.dryRun(...asked),
  });
  const legacyPort = Number(new URL(legacy.url).port);
  const table = TABLES[operation];
  const seedIds = table === undefined ? [] : (await loadSeed())[table].map(({ id }) => id);
  // As JSON, since not every pool knows how to write a list of UUIDs.
  const isNew = (sql: Sql) =>
    sql`id::text not in (select jsonb_array_elements_text(${sql.json(seedIds)}))`;
  const rowsOf = ({ database: { sql } }: Side) =>
    table === undefined ? Promise.resolve([]) : sql<Stored[]>`
      select id, to_jsonb(row)->>'lot_code' as code,
        (select jsonb_object_agg(key, value) from jsonb_each_text(to_jsonb(row))) as values
      from ${sql(table)} row where ${isNew(sql)}`;
  const forget = async () => {
    if (table === undefined) return;
    await Promise.all([legacy, service].map(async ({ database: { sql } }) => {
      await sql`delete from ${sql(table)} where ${isNew(sql)}`;
      await sql`delete from lotline.idempotency_keys`;
    }));
  };

  /** Sends it as a client of the gateway, whose route is in a mode. */
  const pass = async (name: "shadow" | "service", request: WireRequest) => {
    mode = { name };
    front.observed.length = front.answered.length = front.found.length = 0;
    const answer = await sendOnWire(front.port, request);
    return { answer, observation: front.observed[0], sides: [...front.answered] };
  };

  /** What the gateway itself finds of an exchange with the old server. */
  const shadowed = async (observation: Parameters<typeof rig.shadow.observe>[0]) => {
    rig.findings.length = 0;
    rig.shadow.observe({ ...observation, route: routeOf(observation.operation) });
    await rig.shadow.drain(DRAIN_MS);
    const [finding] = rig.findings;
    return finding ?? { outcome: "lost" as const, approvals: [], differences: [] };
  };

  const ask = async (request: WireRequest, mayBeRefused: boolean): Promise<Trial> => {
    const from = Date.now();
    const first = await pass("shadow", request);
    const approvals = new Set<string>();
    const differences: Difference[] = [];
    const note = (what: string, found: readonly Difference[]) =>
      differences.push(...found.map((one) => ({ ...one, place: `${what}: ${one.place}` })));
    const end = (outcome: Trial["outcome"], service?: CapturedAnswer): Trial => ({
      outcome: differences.length > 0 ? "different" : outcome,
      approvals: [...approvals],
      differences: merged(differences),
      legacy: first.answer,
      service,
    });

    const { observation } = first;
    const known = findOperation(request.method, request.target);
    if (observation === undefined) {
      if (first.sides.length > 0) {
        note("gateway", [{ place: "an exchange that isn't compared", legacy: first.sides.join() }]);
      }
      const asked = await sendOnWire(legacyPort, request);
      const isTaken = asked !== undefined && asked.status < 400 && request.method !== "OPTIONS";
      if (isTaken && !mayBeRefused) {
        note("gateway", [{
          place: known === undefined ? "what is no operation" : "what is refused",
          legacy: String(asked.status),
          service: String(first.answer?.status),
        }]);
      }
      const second = await pass("service", request);
      if (second.answer?.status !== first.answer?.status) {
        note("gateway", [{
          place: "by mode",
          legacy: String(first.answer?.status),
          service: String(second.answer?.status),
        }]);
      }
      const stored = await rowsOf(service);
      if (stored.length > 0) note("stored", [{ place: "rows of a refused request" }]);
      return end(
        known === undefined && first.answer?.status !== 400 ? "elsewhere" : "refused",
        second.answer,
      );
    }

    const finding = await shadowed(observation);
    if (finding.outcome === "approved") finding.approvals.forEach((one) => approvals.add(one));
    else if (finding.outcome !== "same") {
      const of = finding.outcome === "different" ? "shadow" : `shadow, ${finding.outcome}`;
      note(of, finding.differences.length > 0 ? finding.differences : [{ place: "no comparison" }]);
    }
    const second = await pass("service", request);
    const [was, is] = [first.answer, second.answer];
    if (was === undefined || is === undefined) {
      note("gateway", [{
        place: "no answer",
        legacy: String(was?.status),
        service: String(is?.status),
      }]);
      return end("different", is);
    }
    const failed = second.sides.find((line) => / service (?:5|0)/.test(line));
    if (failed !== undefined) note("service", [{ place: "status", service: failed }]);
    const times = { from, to: Date.now(), clocksApartMs: 60_000 };
    const compared = compare({
      operation: observation.operation,
      request: observation.request,
      legacy: was,
      service: is,
      times,
    }, rules);
    compared.approvals.forEach((one) => approvals.add(one));
    note("service", compared.differences);

    const rows = await Promise.all([rowsOf(legacy), rowsOf(service)]);
    note("stored", storedDifferences(observation.request, was, is, rows));
    const [[own], [other]] = rows;
    if (table === "lots" && was.status === 201 && is.status === 201 && own && other) {
      note("trace", await traced(own, other));
    }
    return end(approvals.size > 0 ? "approved" : "same", is);
  };

  /** A lot that both have stored is traced: what each has made up is made the same before. */
  const traced = async (own: Stored, other: Stored): Promise<readonly Difference[]> => {
    const { sql } = service.database;
    await sql`
      update lots set id = ${own.id}, created_at = ${own.values.created_at ?? null}
      where id = ${other.id}`;
    let target: string;
    try {
      target = `/api/traceability/${encodeURIComponent(own.code ?? "")}`;
    } catch {
      return [];
    }
    const lines = [`GET ${target} HTTP/1.1`, "Host: plant.example"];
    const request = {
      method: "GET",
      target,
      lines,
      body: new Uint8Array(),
      framing: { kind: "none" },
    } as const;
    const { observation } = await pass("shadow", request);
    if (observation === undefined) return [];
    const { outcome, differences } = await shadowed(observation);
    return outcome === "same" || outcome === "approved" ? [] : [{ place: outcome }, ...differences];
  };

  return {
    async ask(request, mayBeRefused) {
      try {
        return await ask(request, mayBeRefused);
      } finally {
        await forget();
      }
    },
    async [Symbol.asyncDispose]() {
      await front[Symbol.asyncDispose]();
      rig[Symbol.dispose]();
    },
  };
}

/** What was found in the shadow and as service alike is told once. */
function merged(differences: readonly Difference[]): readonly Difference[] {
  const places = new Set(differences.map(({ place }) => place));
  return differences.flatMap((one) => {
    const [, of, place] = /^(shadow|service): (.*)$/s.exec(one.place) ?? [];
    if (!places.has(`${of === "shadow" ? "service" : "shadow"}: ${place}`)) return [one];
    return of === "shadow" ? [] : [{ ...one, place: `both: ${place}` }];
  });
}

interface Stored {
  readonly id: string;
  readonly code: string | null;
  /** Each column's value as PostgreSQL writes it. */
  readonly values: Readonly<Record<string, string | null>>;
}

/** Where the rows differ that a request has stored: a refused one stores none. */
function storedDifferences(
  request: CapturedRequest,
  legacy: CapturedAnswer,
  service: CapturedAnswer,
  [was, is]: readonly (readonly Stored[])[],
): Difference[] {
  if (was === undefined || is === undefined) return [];
  if (service.status >= 400 && is.length > 0) return [{ place: "rows of a refused request" }];
  if (legacy.status >= 400 || service.status >= 400) return [];
  if (was.length !== is.length) {
    return [{ place: "rows", legacy: String(was.length), service: String(is.length) }];
  }
  const named = fieldsOf(request) ?? {};
  const isMadeUp = (column: string) =>
    ["id", "created_at", "decided_at"].includes(column) && !Object.hasOwn(named, column);
  const [own, other] = [was[0]?.values ?? {}, is[0]?.values ?? {}];
  return Object.keys(own).filter((column) => own[column] !== other[column] && !isMadeUp(column))
    .map((column) => ({
      place: column,
      legacy: String(own[column]),
      service: String(other[column]),
    }));
}

/** The old server's words for its failure, to tell one kind from another. */
export function wordsOf(answer: CapturedAnswer | undefined): string {
  if (answer === undefined) return "";
  const body = parseJsonText(plainText(answer) ?? "");
  return stringOf(fieldOf(body, "error")) ?? "";
}
