import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parse } from "yaml";
import { z } from "zod";
import { errorOfResponse, kindOf, reasonOf, retryAfterOf } from "./errors.ts";
import { OPEN } from "./send.ts";

const Operation = z.looseObject({
  security: z.array(z.unknown()).optional(),
  responses: z.record(z.string(), z.unknown()),
});
const Document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
});
const { paths } = Document.parse(
  parse(await Deno.readTextFile(new URL("../openapi.yaml", import.meta.url))),
);
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.values(methods).map((operation) => ({ path, ...operation }))
);

Deno.test("every status of the contract that is an error has a kind of its own", () => {
  const statuses = new Set(operations.flatMap(({ responses }) => Object.keys(responses)));
  const errors = [...statuses].map(Number).filter((status) => status >= 400);
  ok(errors.length > 10);
  const kinds = errors.map(kindOf);
  strictEqual(new Set(kinds).size, errors.length, kinds.join());
  ok(!kinds.includes("refused") && !kinds.includes("unreadable"), kinds.join());
});

Deno.test("a status that the contract doesn't know has a kind, too", () => {
  deepStrictEqual([502, 504, 418, 451, 501, 599, 304].map(kindOf), [
    "away",
    "away",
    "refused",
    "refused",
    "fault",
    "fault",
    "unreadable",
  ]);
});

Deno.test("the operations that need no token are those of the contract", () => {
  const open = operations.filter(({ security }) => security?.length === 0);
  deepStrictEqual([...OPEN].sort(), [...new Set(open.map(({ path }) => path))].sort());
});

const NOW = Date.parse("2026-01-18T06:00:00Z");
const RETRY_AFTER: [header: string, ms: number | undefined][] = [
  ["1", 1_000],
  [" 0 ", 0],
  ["Sun, 18 Jan 2026 06:00:07 GMT", 7_000],
  ["Sun, 18 Jan 2026 05:00:00 GMT", 0],
  ["", undefined],
  ["-1", undefined],
  ["1.5", undefined],
  ["soon", undefined],
  ["Soon", undefined],
  ["9999999999", undefined],
];

Deno.test("Retry-After is seconds or a date; what is neither is as if it weren't there", () => {
  const read = (header: string) => retryAfterOf(new Headers({ "retry-after": header }), NOW);
  deepStrictEqual(RETRY_AFTER.map(([header]) => read(header)), RETRY_AFTER.map(([, ms]) => ms));
});

Deno.test("an error has the service's sentence, its details and the request's id", () => {
  const headers = new Headers({ "x-request-id": "r-1" });
  const details = [{ path: "lot_code", message: "is missing" }];
  const error = errorOfResponse({ status: 422, headers }, {
    error: "lot_code is missing",
    details,
  });
  const { name, message, kind, status, requestId, retryAfterMs } = error;
  deepStrictEqual([name, message, kind, status, requestId, retryAfterMs, error.details], [
    "LotlineError",
    "lot_code is missing",
    "outside_contract",
    422,
    "r-1",
    undefined,
    details,
  ]);
});

Deno.test("what others respond in the service's place is an error all the same", () => {
  const headers = new Headers({ "retry-after": "3" });
  for (const body of ["<h1>Bad Gateway</h1>", undefined, null, 1, [], { error: 1 }, { err: "x" }]) {
    const error = errorOfResponse({ status: 502, headers }, body);
    deepStrictEqual(
      [error.kind, error.message, error.details, error.retryAfterMs],
      ["away", "The response is 502 and gives no reason", [], 3_000],
    );
  }
  const odd = { error: "No", details: [null, "x", { path: 1, message: "m" }, { path: "p" }] };
  deepStrictEqual(errorOfResponse({ status: 422, headers }, odd).details, []);
});

const REASONS: [what: string, thrown: unknown, reason: string][] = [
  ["Deno's and a browser's", new TypeError("Failed to fetch"), "Failed to fetch"],
  [
    "Node's, which is wrapped",
    new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:9") }),
    "connect ECONNREFUSED 127.0.0.1:9",
  ],
  [
    "Node's for a name with two addresses",
    new TypeError("fetch failed", {
      cause: new AggregateError([new Error("refused ::1"), new Error("refused 127.0.0.1")]),
    }),
    "refused ::1, refused 127.0.0.1",
  ],
  ["an error without words", new TypeError(), "TypeError"],
  ["a text", "gone", "gone"],
];

for (const [what, thrown, reason] of REASONS) {
  Deno.test(`the reason of a failed request is read from the platform's error: ${what}`, () => {
    strictEqual(reasonOf(thrown), reason);
  });
}
