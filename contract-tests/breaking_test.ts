import { deepStrictEqual, notDeepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { readApproved } from "./approved.ts";
import { findBreakingChanges, mayBreak } from "./breaking_changes.ts";
import { append, drop, set, unset } from "./document_edits.ts";
import { readContract, readOldCapture, readReleased, versionOf } from "./documents.ts";
import type { Json } from "./normal_form.ts";
import { ensureOasdiff } from "./oasdiff.ts";

const { oasdiff, missing } = await ensureOasdiff().then(
  (oasdiff) => ({ oasdiff, missing: undefined }),
  (thrown: Error) => ({ oasdiff: undefined, missing: thrown.message }),
);
const test = (name: string, run: (oasdiff: string) => Promise<void>) =>
  Deno.test({ name, ignore: oasdiff === undefined, fn: () => run(oasdiff ?? "") });
if (missing !== undefined) {
  console.log(`${missing}\nThe tests that need it are ignored here; CI runs them.`);
}

test("openapi.yaml breaks no client of the last release, unless its version allows it", async (program) => {
  const [released, now] = [readReleased(), readContract()];
  if (mayBreak(versionOf(released), versionOf(now))) return;
  deepStrictEqual(await findBreakingChanges(program, released, now), []);
});

test("every change that breaks clients of the old five is approved, and every approval is used", async (program) => {
  const found = await findBreakingChanges(program, readOldCapture(), readContract());
  const sorted = (changes: { operation: string; text: string }[]) =>
    changes.map(({ operation, text }) => `${operation}: ${text}`).sort();
  deepStrictEqual(sorted(found), sorted(readApproved().flatMap((entry) => entry.contract)));
});

const CONTRACT = readContract();

type Edit = [what: string, edit: (document: Json) => void];

const LOTS = "paths|/api/lots|post";
const LOT_INPUT = "components|schemas|LotInput";
const TRACE_INPUT = "components|schemas|DeepTraceInput|properties";
const LOT = "components|schemas|Lot";
const AUDITS = "paths|/api/audits";
const TEXT = { type: "string" };

const BREAKING: Edit[] = [
  ["an operation less", (d) => unset(d, `${AUDITS}|get`)],
  ["a path less", (d) => unset(d, "paths|/api/qc-decisions")],
  ["another operation id", (d) => set(d, `${LOTS}|operationId`, "makeLot")],
  ["a new field that is required", (d) => {
    set(d, `${LOT_INPUT}|properties|shift`, TEXT);
    append(d, `${LOT_INPUT}|required`, "shift");
  }],
  ["a field that is required from now on", (d) => append(d, `${LOT_INPUT}|required`, "weight_kg")],
  ["a field of a request less", (d) => unset(d, `${LOT_INPUT}|properties|metadata`)],
  [
    "a value of a request's list less",
    (d) => drop(d, `components|schemas|TraceDirection|enum`, -1),
  ],
  ["a value of a response's list more", (d) => {
    append(d, "components|schemas|ValkeyState|enum", "slow");
  }],
  ["a success less", (d) => unset(d, "paths|/api/traces|post|responses|202")],
  ["an error less", (d) => unset(d, `${LOTS}|responses|409`)],
  ["a field of a response less", (d) => {
    unset(d, `${LOT}|properties|created_at`);
    drop(d, `${LOT}|required`, -1);
  }],
  ["a field of a response that may be absent", (d) => drop(d, `${LOT}|required`, -1)],
  ["a field of a response that may be null", (d) => {
    set(d, `${LOT}|properties|lot_code|type`, ["string", "null"]);
  }],
  ["another type of a response's field", (d) => {
    set(d, "components|schemas|Decimal|type", "number");
  }],
  ["a response's field of any form", (d) => unset(d, "components|schemas|Decimal|pattern")],
  ["another type of a request's field", (d) => set(d, `${TRACE_INPUT}|at_most|type`, "string")],
  [
    "a type of a request's field less",
    (d) => append(d, "components|schemas|DecimalInput|not|type", "number"),
  ],
  ["null no longer taken", (d) => set(d, `${TRACE_INPUT}|max_depth|type`, "integer")],
  ["a lower maximum", (d) => set(d, `${TRACE_INPUT}|at_most|maximum`, 10)],
  ["a lower length", (d) => set(d, "components|schemas|TextInput|maxLength", 10)],
  ["a narrower pattern", (d) => set(d, "components|schemas|TimestampInput|pattern", "^[0-9]+$")],
  ["a lower maximum in the query", (d) => {
    set(d, `${AUDITS}|get|parameters|0|schema|maximum`, 10);
  }],
  ["another default", (d) => set(d, `${AUDITS}|get|parameters|0|schema|default`, 50)],
  ["a parameter that must be given", (d) => {
    append(d, `${AUDITS}|get|parameters`, { name: "y", in: "query", required: true, schema: TEXT });
  }],
  ["a header that must be sent", (d) => {
    set(d, `${LOTS}|parameters`, [{ name: "X-Y", in: "header", required: true, schema: TEXT }]);
  }],
  ["a parameter less", (d) => drop(d, `${AUDITS}|get|parameters`, -1)],
  ["a media type of a response less", (d) => {
    unset(d, "paths|/api/traces/{id}|get|responses|200|content|application/x-ndjson");
  }],
  ["another media type of a request", (d) => {
    set(d, `${LOTS}|requestBody|content`, { "text/csv": { schema: TEXT } });
  }],
  ["a body that must be sent", (d) => set(d, `${AUDITS}|post|requestBody|required`, true)],
  ["a header of a response less", (d) => unset(d, `${LOTS}|responses|201|headers`)],
  ["a header that may be absent", (d) => set(d, "components|headers|ETag|required", false)],
  ["a token that must be sent", (d) => set(d, "paths|/api/health|get|security", [{ b: [] }])],
  ["a role less", (d) => drop(d, `${LOTS}|x-roles`, -1)],
  ["only some roles", (d) => set(d, "paths|/api/logout|post|x-roles", ["ADMIN"])],
  ["unknown fields refused", (d) => {
    set(d, "components|schemas|Credentials|additionalProperties", false);
  }],
  ["unknown fields in a response", (d) => set(d, `${LOT}|additionalProperties`, true)],
];

const SAFE: Edit[] = [
  ["nothing", () => {}],
  ["an operation more", (d) => {
    const responses = { 200: { description: "All of them." } };
    set(d, "paths|/api/gates", { get: { operationId: "listGates", responses } });
  }],
  ["a field of a request more", (d) => set(d, `${LOT_INPUT}|properties|shift`, TEXT)],
  ["a field of a response more", (d) => set(d, `${LOT}|properties|shift`, TEXT)],
  ["a header that may be sent", (d) => {
    set(d, `${LOTS}|parameters`, [{ name: "Idempotency-Key", in: "header", schema: TEXT }]);
  }],
  ["a parameter that may be given", (d) => {
    append(d, `${AUDITS}|get|parameters`, { name: "since", in: "query", schema: TEXT });
  }],
  ["an error more", (d) => set(d, `${LOTS}|responses|428`, { description: "No key." })],
  ["a header of a response more", (d) => {
    set(d, `${LOTS}|responses|201|headers|Location`, { schema: TEXT });
  }],
  ["a type of a request's field more", (d) => {
    drop(d, "components|schemas|DecimalInput|not|type", -1);
  }],
  ["a higher maximum", (d) => set(d, `${TRACE_INPUT}|at_most|maximum`, 10_000_000)],
  ["a pattern less in a request", (d) => unset(d, "components|schemas|TimestampInput|pattern")],
  ["a body that may be absent", (d) => set(d, `${LOTS}|requestBody|required`, false)],
  ["unknown fields let in", (d) => set(d, `${LOT_INPUT}|additionalProperties`, true)],
  ["a role more", (d) => append(d, `${LOTS}|x-roles`, "VIEWER")],
  ["every role", (d) => unset(d, `${LOTS}|x-roles`)],
  ["other words", (d) => set(d, `${LOTS}|description`, "Stores a lot.")],
  ["another group", (d) => set(d, `${LOTS}|tags`, ["Lots"])],
];

for (const [what, edit] of BREAKING) {
  test(`${what} breaks clients`, async (program) => {
    notDeepStrictEqual(await changesOf(program, edit), []);
  });
}

for (const [what, edit] of SAFE) {
  test(`${what} breaks no client`, async (program) => {
    deepStrictEqual(await changesOf(program, edit), []);
  });
}

const DAY_MS = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10);

/** Deprecates an operation from today on. */
function deprecate(document: Json, sunset?: string): Json {
  set(document, `${AUDITS}|get|deprecated`, true);
  if (sunset !== undefined) set(document, `${AUDITS}|get|x-sunset`, sunset);
  return document;
}

const SUNSETS: [what: string, sunset: string | undefined, isBreaking: boolean][] = [
  ["no date of its end", undefined, true],
  ["an end in a month", inDays(30), true],
  ["an end in seven months", inDays(213), false],
];

for (const [what, sunset, isBreaking] of SUNSETS) {
  test(`an operation deprecated with ${what} ${isBreaking ? "breaks clients" : "breaks no client"}`, async (program) => {
    const changes = await changesOf(program, (d) => deprecate(d, sunset));
    strictEqual(changes.length > 0, isBreaking, JSON.stringify(changes));
  });
}

for (
  const [when, sunset, what] of [["before", 1, "clients"], ["after", -1, "no client"]] as const
) {
  test(`a deprecated operation that is removed ${when} its end breaks ${what}`, async (program) => {
    const before = deprecate(structuredClone(CONTRACT), inDays(sunset));
    const after = structuredClone(before);
    unset(after, `${AUDITS}|get`);
    const changes = await findBreakingChanges(program, before, after);
    strictEqual(changes.length > 0, what === "clients", JSON.stringify(changes));
  });
}

test("a breaking change is reported with its operation and the change", async (program) => {
  const edit = (d: Json) => append(d, `${LOT_INPUT}|required`, "weight_kg");
  deepStrictEqual(await changesOf(program, edit), [
    { operation: "createLot", text: "the request property `weight_kg` became required" },
  ]);
});

const VERSIONS: [released: string, now: string, mayBreak: boolean][] = [
  ["0.1.0", "0.1.0", false],
  ["0.1.0", "0.1.1", false],
  ["0.1.0", "0.2.0", true],
  ["0.9.0", "0.10.0", true],
  ["0.9.3", "1.0.0", true],
  ["1.2.0", "1.3.0", false],
  ["1.2.0", "2.0.0", true],
  ["2.0.0", "1.9.0", false],
  ["1.0.0", "0.2.0", false],
];

for (const [released, now, expected] of VERSIONS) {
  Deno.test(`${now} may ${expected ? "" : "not "}break what ${released} promised`, () => {
    strictEqual(mayBreak(released, now), expected);
  });
}

Deno.test("an invalid version is refused", () => {
  throws(() => mayBreak("0.1.0", "next"), /next is no version/);
});

function changesOf(program: string, edit: (document: Json) => void) {
  const after = structuredClone(CONTRACT);
  edit(after);
  return findBreakingChanges(program, CONTRACT, after);
}
