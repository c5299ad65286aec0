import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { captured, pairOf, responseOf } from "../testing/captured.ts";
import { compare, type Pair } from "../compare/compare.ts";
import { confirmRead, confirmWrite } from "./confirm.ts";
import type { CapturedRequest, CapturedResponse, Exchange } from "../exchange/exchange.ts";
import { loadLiveRules } from "../compare/approvals.ts";
import type { Upstream } from "../exchange/route.ts";

const rules = await loadLiveRules();

const get = captured("GET", "/api/traceability/A");
const silent: Exchange = { failure: "timeout", ms: 300 };
const lot = (fields: Record<string, string>) =>
  responseOf(200, JSON.stringify({ central: fields, parents: [], children: [] }));

/**
 * Confirms two responses by repeating the request. Each upstream sends these responses in turn, and
 * repeats its last.
 */
async function confirm(
  { first, then, side: upstream = "legacy", operation = "getTraceability", request = get }: {
    first: Record<Upstream, CapturedResponse>;
    then: Record<Upstream, Exchange[]>;
    side?: Upstream;
    operation?: Pair["operation"];
    request?: CapturedRequest;
  },
) {
  const left = { legacy: [...then.legacy], service: [...then.service] };
  const requested: [Upstream, CapturedRequest][] = [];
  const pair = pairOf(operation, request, first.legacy, first.service);
  const { differences } = compare(pair, rules);
  const confirmed = await confirmRead({ ...pair, upstream, differences, rules }, (of, again) => {
    requested.push([of, again]);
    const [next, ...rest] = left[of];
    if (rest.length > 0) left[of] = rest;
    return Promise.resolve(next ?? silent);
  }, () => Promise.resolve());
  return { ...confirmed, asked: requested };
}

/**
 * `central.w` in four reads of each upstream: which one changes, and whether that explains the
 * difference.
 */
const MOVING: [what: string, legacy: string, service: string, outcome: string][] = [
  ["the upstream that responded to the client moves", "abcdefgh", "zzzzzzzz", "raced"],
  ["both move", "abcdefgh", "stuvwxyz", "raced"],
];

for (const [what, legacy, service, outcome] of MOVING) {
  Deno.test(`a value that always changes: ${what}: ${outcome}`, async () => {
    const looks = (text: string) => [...text].map((w) => lot({ w, still: "1" }));
    const [old = silent, ...oldThen] = looks(legacy);
    const [now = silent, ...nowThen] = looks(service);
    if ("failure" in old || "failure" in now) throw new Error("no first look");
    const then = { legacy: oldThen, service: nowThen };
    strictEqual((await confirm({ first: { legacy: old, service: now }, then })).outcome, outcome);
  });
}

Deno.test("a change on the other upstream alone explains a difference in its place, and in no other", async () => {
  const found = (still: string) => {
    // The client's upstream changes in `a` alone, the other one in `b`.
    const [own, ...ownThen] = [..."01234567"].map((a) => lot({ a, b: "x", still: "1" }));
    const [other, ...otherThen] = [..."ABCDEFGH"].map((b) => lot({ a: "y", b, still }));
    if (own === undefined || other === undefined) throw new Error("no first look");
    return confirm({
      first: { legacy: own, service: other },
      then: { legacy: ownThen, service: otherThen },
    });
  };
  strictEqual((await found("1")).outcome, "raced");
  const { outcome, differences } = await found("2");
  deepStrictEqual([outcome, differences.some(({ place }) => place === "body.central.still")], [
    "different",
    true,
  ]);
});

Deno.test("an approved difference counts as none, whichever upstream responded to the client", async () => {
  const page = responseOf(
    404,
    '<!DOCTYPE html>\n<html lang="en"><title>Error</title><pre>NotFoundError: x</pre></html>',
    { "content-type": "text/html; charset=utf-8" },
  );
  const refused = responseOf(404, '{"error":"No."}');
  for (const upstream of ["legacy", "service"] as const) {
    // At first only the other upstream knew that the lot is gone.
    const gone = { legacy: page, service: refused };
    const first = { ...gone, [upstream]: lot({ w: "1" }) };
    const then = { legacy: [page], service: [refused] };
    strictEqual((await confirm({ first, then, side: upstream })).outcome, "raced");
  }
});

Deno.test("a generated moment may be as late as the repeated request", async () => {
  const health = (status: string, at: number) =>
    responseOf(200, JSON.stringify({ status, timestamp: new Date(at).toISOString() }));
  const now = Date.now();
  const request = captured("GET", "/api/health");
  const first = { legacy: health("ok", now), service: health("starting", now) };
  const then = { legacy: [health("ok", now)], service: [health("ok", now)] };
  const { outcome } = await confirm({ first, then, operation: "getHealth", request });
  strictEqual(outcome, "late");
});

const NOT_MODIFIED = responseOf(304, "");

Deno.test("only the client's conditions are left out to see whether just the order differs", async () => {
  const request = captured("HEAD", "/api/traceability/A", "", [
    ["If-None-Match", 'W/"a-b"'],
    ["if-modified-since", "x"],
    ["Authorization", "Bearer t"],
  ]);
  const ofOrder = (parents: number[], etag: string) =>
    responseOf(200, JSON.stringify({ central: {}, parents, children: [] }), { etag });
  const [one, other] = [ofOrder([1, 2], 'W/"1"'), ofOrder([2, 1], 'W/"2"')];
  const { outcome, asked: requested } = await confirm({
    first: { legacy: NOT_MODIFIED, service: responseOf(200, "", { etag: 'W/"2"' }) },
    then: { legacy: [one], service: [other] },
    request,
  });
  strictEqual(outcome, "same");
  deepStrictEqual(requested.map(([upstream, { method, headers }]) => [upstream, method, headers]), [
    ["legacy", "GET", [["Authorization", "Bearer t"]]],
    ["service", "GET", [["Authorization", "Bearer t"]]],
  ]);
});

Deno.test("while an upstream doesn't respond, the order of lots is unknown", async () => {
  for (const quiet of ["legacy", "service"] as const) {
    const then = { legacy: [lot({ w: "1" })], service: [lot({ w: "1" })], [quiet]: [silent] };
    const { outcome } = await confirm({
      first: { legacy: NOT_MODIFIED, service: lot({ w: "1" }) },
      then,
    });
    strictEqual(outcome === "same", false);
  }
});

const AT = new Date().toISOString();
const stored = (fields: Record<string, string>) =>
  responseOf(
    201,
    JSON.stringify({ id: "0d9c7b1a-3a77-4b1c-8f0e-6a2f3e4d5c6b", created_at: AT, ...fields }),
  );
const failed = responseOf(500, '{"error":"Boom"}');
const refused = responseOf(409, '{"error":"taken"}');

/** Whether the dry run is repeated with another code, and the outcome of the difference. */
const WRITES: [
  what: string,
  operation: "createLot" | "createQcDecision",
  legacy: CapturedResponse,
  service: CapturedResponse,
  again: CapturedResponse,
  isOtherCode: boolean,
  outcome: string,
][] = [
  [
    "a lot that Lotline alone could store",
    "createLot",
    failed,
    stored({}),
    stored({}),
    false,
    "different",
  ],
  ["a lot that Lotline alone refuses", "createLot", failed, refused, refused, false, "different"],
  [
    "a lot that Lotline stored otherwise, before",
    "createLot",
    ...[
      stored({ weight_kg: "1" }),
      stored({ weight_kg: "2" }),
      stored({ weight_kg: "1", created_at: new Date(Date.now() + 1).toISOString() }),
    ] as const,
    false,
    "raced",
  ],
  [
    "a lot whose reference is stored by now",
    "createLot",
    stored({ lot_code: "L" }),
    refused,
    stored({ lot_code: "another" }),
    true,
    "raced",
  ],
  [
    "a decision whose lot is missing",
    "createQcDecision",
    stored({}),
    refused,
    refused,
    false,
    "different",
  ],
];

for (const [what, operation, legacy, service, again, isOtherCode, outcome] of WRITES) {
  Deno.test(`confirmed: ${what}: ${outcome}`, async () => {
    const request = captured("POST", "/api/lots", '{"lot_code":"L"}');
    const pair = { ...pairOf(operation, request, legacy, service) };
    const { differences } = compare(pair, rules);
    let requested = request;
    const found = await confirmWrite({ ...pair, upstream: "legacy", differences, rules }, (one) => {
      requested = one;
      return Promise.resolve(again);
    });
    deepStrictEqual([found.outcome, requested !== request], [outcome, isOtherCode]);
  });
}

Deno.test("a lot that can't be requested with another code is different, without a repeat", async () => {
  const request = captured("POST", "/api/lots", "L", [["content-type", "text/plain"]]);
  const pair = pairOf("createLot", request, stored({}), refused);
  const { differences } = compare(pair, rules);
  const found = await confirmWrite({ ...pair, upstream: "legacy", differences, rules }, () => {
    throw new Error("it was asked for");
  });
  deepStrictEqual([found.outcome, found.differences], ["different", differences]);
});
