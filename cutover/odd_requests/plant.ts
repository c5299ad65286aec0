import type { Random } from "../../dev/random.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { loadSeed } from "../../dev/seed.ts";
import { type Draft, keyText } from "./draft.ts";

/** The seed's rows that ordinary requests name. */
export interface Plant {
  readonly lotCodes: Names;
  readonly emails: Names;
  readonly lots: Names;
  readonly operators: Names;
  readonly gates: Names;
  readonly runs: Names;
  readonly phases: Names;
  /** The ETags of the old server's traces, for some of the lots. */
  readonly validators: readonly [Validator, ...Validator[]];
}

/** The ETag of a trace. */
export interface Validator {
  readonly target: string;
  readonly etag: string;
}

const MAX_VALIDATORS = 30;

type Names = readonly [string, ...string[]];

/** Reads the seed's names, and requests the validators from the old server. */
export async function loadPlant(legacyUrl: string): Promise<Plant> {
  const seed = await loadSeed();
  const names = (rows: readonly Record<string, unknown>[], column: string): Names => {
    const [first, ...rest] = rows.map((row) => String(row[column]));
    if (first === undefined) throw new Error(`the seed has no ${column}`);
    return [first, ...rest];
  };
  const lotCodes = names(seed.lots, "lot_code");
  const [first, ...rest] = await Promise.all(
    lotCodes.slice(0, MAX_VALIDATORS).map((code) => validatorOf(legacyUrl, code)),
  );
  if (first === undefined) throw new Error("the seed has no lots");
  return {
    validators: [first, ...rest],
    lotCodes,
    emails: names(seed.users, "email"),
    lots: names(seed.lots, "id"),
    operators: names(seed.users, "id"),
    gates: names(seed.qc_gates, "id"),
    runs: names(seed.production_runs, "id"),
    phases: names(seed.phases, "id"),
  };
}

async function validatorOf(url: string, code: string): Promise<Validator> {
  const target = `/api/traceability/${encodeURIComponent(code)}`;
  const response = await fetch(url + target);
  await response.body?.cancel();
  return { target, etag: response.headers.get("etag") ?? "" };
}

/** A request that a plant's client could send, for one operation. */
export function ordinaryDraft(operation: LegacyOperation, plant: Plant, random: Random): Draft {
  const headers: Draft["headers"] = [["Host", "plant.example"]];
  if (random.below(3) === 0) headers.push(["Accept", "application/json"]);
  if (random.below(4) === 0) headers.push(["User-Agent", "scale/1.4"]);
  const draft: Draft = {
    operation,
    method: "POST",
    target: "",
    version: "HTTP/1.1",
    headers,
    fields: [],
    document: undefined,
    encoders: [],
    framing: { kind: "length" },
  };
  if (operation === "getHealth" || operation === "getTraceability") {
    draft.method = "GET";
    draft.framing = { kind: "none" };
    draft.target = operation === "getHealth"
      ? "/api/health"
      : `/api/traceability/${encodeURIComponent(random.pick(plant.lotCodes))}`;
    return draft;
  }
  headers.push(["Content-Type", "application/json"]);
  draft.target =
    { login: "/api/login", createLot: "/api/lots", createQcDecision: "/api/qc-decisions" }[
      operation
    ];
  const fields = { login: loginFields, createLot: lotFields, createQcDecision: decisionFields }[
    operation
  ](plant, random);
  draft.fields = fields.map(([key, value]) => [keyText(key), JSON.stringify(value)]);
  return draft;
}

type Fields = [key: string, value: unknown][];

function loginFields(plant: Plant, random: Random): Fields {
  const fields: Fields = [["email", random.pick(plant.emails)]];
  if (random.below(2) === 0) fields.push(["password", "correct horse"]);
  return fields;
}

function lotFields(plant: Plant, random: Random): Fields {
  const code = `ODD-${random.uuid().slice(0, 13)}`;
  return [
    ["lot_code", code],
    ...someOf(random, [
      ["id", random.uuid()],
      ["lot_type", random.pick(["RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG"])],
      ["production_run_id", random.pick(plant.runs)],
      ["phase_id", random.pick(plant.phases)],
      ["operator_id", random.pick(plant.operators)],
      ["weight_kg", random.pick<unknown>(["540.0", 540, "12.50", 0.25])],
      ["temperature_c", random.pick<unknown>(["3.5", -18, "-18.00", null])],
      ["metadata", random.pick<unknown>([{}, { parentLots: ["MIX-BATCH-88"] }, null])],
      ["created_at", "2026-01-19T10:11:12.345Z"],
    ]),
  ];
}

function decisionFields(plant: Plant, random: Random): Fields {
  return [
    ["decision", random.pick(["PASS", "HOLD", "FAIL"])],
    ...someOf(random, [
      ["id", random.uuid()],
      ["lot_id", random.pick(plant.lots)],
      ["qc_gate_id", random.pick(plant.gates)],
      ["operator_id", random.pick(plant.operators)],
      ["notes", random.pick(["ok", "checked twice", null])],
      ["temperature_c", random.pick<unknown>(["3.5", -18, null])],
      ["digital_signature", random.pick(["JO", null])],
      ["decided_at", "2026-01-19T10:11:12.345Z"],
    ]),
  ];
}

function someOf(random: Random, fields: Fields): Fields {
  return fields.filter(() => random.below(2) === 0);
}
