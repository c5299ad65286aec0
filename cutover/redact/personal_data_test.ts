import { deepStrictEqual, doesNotMatch } from "node:assert/strict";
import { requestOf, responseOf } from "../testing/captured.ts";
import { PERSONAL, PERSONAL_NUMBERS, personalIn } from "../testing/invented_people.ts";
import { routeOf } from "../testing/shadow_rig.ts";
import type { Difference, Finding } from "../evidence/evidence.ts";
import { storedMismatch } from "../evidence/stored_mismatch.ts";
import type { CapturedRequest, CapturedResponse, HeaderLines } from "../exchange/exchange.ts";
import { LEGACY_OPERATIONS, type LegacyOperation } from "../exchange/operations.ts";
import { recordedExchange } from "../record/recorded_exchange.ts";
import { type Fields, isFields, requestFields, responseFields } from "./contract_fields.ts";
import { createRedactor } from "./redact.ts";

/* Every field that a client or a server can fill holds invented personal data; none of it is kept. */

const redactor = createRedactor("a secret of at least thirty-two characters");

/** Everything that is kept of a finding: what is stored and reported of it, and what is recorded. */
function keptOf(
  operation: LegacyOperation,
  request: CapturedRequest,
  legacy: CapturedResponse,
  differences: readonly Difference[] = [],
): string {
  const finding: Finding = {
    operation,
    route: routeOf(operation),
    outcome: "different",
    approvals: [],
    differences,
    exchange: { mode: "shadow", request, legacy, service: responseOf(200, "{}") },
  };
  const stored = storedMismatch(redactor.finding(finding), "", 0);
  return JSON.stringify([
    stored,
    recordedExchange({ operation, request, response: legacy }, redactor),
  ]);
}

function nothingPersonal(kept: string, personal: string, where: string): void {
  const found = personalIn(kept, personal);
  deepStrictEqual(found, [], `${where}: of ${personal} stays in ${kept.slice(0, 1_000)}`);
  doesNotMatch(kept.replaceAll("…", ""), /[^\x00-\x7f]/, `${where}: ${kept.slice(0, 1_000)}`);
}

/** All fields of a schema, each with the same value. */
function filled(fields: Fields, value: unknown): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [
      name,
      isFields(field) ? filled(field, value) : value,
    ]),
  );
}

/** A body whose every field holds something personal, in every form that JSON has for it. */
function* bodiesWith(fields: Fields, personal: string): Generator<[what: string, body: string]> {
  const forms: [what: string, value: unknown][] = [
    ["a text", personal],
    ["a list", [personal]],
    ["a key", { [personal]: 1 }],
    ["deep inside", { a: [{ b: [[personal]] }] }],
    ["JSON in a text", JSON.stringify({ a: personal })],
    ["beside a lot code", `RAW-BEEF-001 ${personal}`],
  ];
  for (const [what, value] of forms) {
    yield [`${what} in every field`, JSON.stringify(filled(fields, value))];
    yield [`${what} in every field of a list's item`, JSON.stringify([filled(fields, value)])];
    yield [`${what} in unknown fields`, JSON.stringify({ remark: value, [personal]: value })];
    yield [`${what} as metadata`, JSON.stringify({ metadata: { supplier: value } })];
    yield [`${what} as the whole body`, JSON.stringify(value)];
  }
  yield ["broken JSON", JSON.stringify(filled(fields, personal)).slice(0, -1)];
  yield ["a form", `email=${encodeURIComponent(personal)}&full_name=${personal}`];
  yield ["a text", `note: ${personal}, and ${personal}.`];
  yield ["a page", `<pre>Cannot GET /api/${personal}<br> &nbsp; &nbsp;at ${personal}</pre>`];
}

for (const operation of LEGACY_OPERATIONS) {
  Deno.test(`nothing personal in a request's or a response's body is kept of ${operation}`, () => {
    for (const personal of PERSONAL) {
      for (const [what, body] of bodiesWith(requestFields(operation), personal)) {
        const kept = keptOf(operation, requestOf(operation, body), responseOf(200, "{}"));
        nothingPersonal(kept, personal, `request, ${what}`);
      }
      for (const [what, body] of bodiesWith(responseFields(operation), personal)) {
        const kept = keptOf(operation, requestOf(operation), responseOf(500, body));
        nothingPersonal(kept, personal, `response, ${what}`);
      }
    }
  });

  Deno.test(`no telephone number that is written as a number is kept of ${operation}`, () => {
    for (const number of PERSONAL_NUMBERS) {
      const body = (fields: Fields) =>
        JSON.stringify(filled(fields, "#")).replaceAll('"#"', number);
      const kept = keptOf(
        operation,
        requestOf(operation, body(requestFields(operation))),
        responseOf(200, body(responseFields(operation))),
      );
      nothingPersonal(kept, number, "number");
    }
  });
}

const HEADERS = [
  "accept",
  "access-control-allow-origin",
  "allow",
  "authorization",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "etag",
  "from",
  "if-none-match",
  "idempotency-key",
  "location",
  "origin",
  "referer",
  "retry-after",
  "set-cookie",
  "user-agent",
  "vary",
  "www-authenticate",
  "x-api-key",
  "x-forwarded-for",
  "x-lotline-dry-run",
  "x-odd",
  "x-request-id",
];

Deno.test("nothing personal in a header, a query, a path or a method is kept", () => {
  for (const personal of PERSONAL) {
    const spelled = [
      personal,
      encodeURIComponent(personal),
      `Bearer ${personal}`,
      `W/"${personal}"`,
    ];
    for (const value of spelled) {
      const lines = HEADERS.map((name): [string, string] => [name, value]);
      const headers: HeaderLines = [...lines, [personal, value]];
      const response = { ...responseOf(200, "{}"), headers };
      const kept = keptOf("createLot", requestOf("createLot", "{}", headers), response);
      nothingPersonal(kept, personal, `headers: ${value}`);
      for (
        const target of [
          `/api/traceability/${value}`,
          `/api/lots?email=${value}`,
          `/api/lots?${value}`,
          `http://${value}/api/${value}/lots/?q=${encodeURIComponent(value)}`,
          value,
        ]
      ) {
        const request = { ...requestOf("createLot", "{}"), target, method: value };
        nothingPersonal(keptOf("createLot", request, response), personal, target);
      }
    }
  }
});

Deno.test("nothing personal in a place or in the values of a difference is kept", () => {
  for (const personal of PERSONAL) {
    const json = JSON.stringify(personal);
    const whole = JSON.stringify({ full_name: personal, [personal]: 1 });
    const differences: Difference[] = [
      ...[
        "body",
        "body.user.full_name",
        "body.token",
        "body.error",
        "body.details[0].path",
        "body.metadata.supplier",
        `body[${json}]`,
        `body.user[${json}].x`,
        `body.${personal}`,
        `header ${personal}`,
        "header location",
        "header content-type",
        `form: body[${json}] may not change`,
        "form",
        "status",
        personal,
      ].flatMap((place) =>
        [json, personal, whole, whole.slice(0, -2), `${json} (${personal})`].map((text) => ({
          place,
          legacy: text,
          service: text,
        }))
      ),
      { place: "body (order of keys)", legacy: `id, ${personal}`, service: `${personal}, id` },
      { place: "body (spaces and escapes)", legacy: whole, service: ` ${whole}` },
    ];
    for (const one of differences) {
      const kept = keptOf("login", requestOf("login"), responseOf(200, "{}"), [one]);
      nothingPersonal(kept, personal, JSON.stringify(one));
    }
  }
});
