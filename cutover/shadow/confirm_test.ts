import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { captured, pairOf, responseOf } from "../testing/captured.ts";
import { compare } from "../compare/compare.ts";
import { confirmRead, confirmWrite, readBracket } from "./confirm.ts";
import type { CapturedRequest, CapturedResponse, Exchange } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { loadLiveRules } from "../compare/approvals.ts";
import type { Upstream } from "../exchange/route.ts";

const rules = await loadLiveRules();

type Bracket = Parameters<typeof readBracket>[0];
const BRACKETS: [Partial<Bracket>, ReturnType<typeof readBracket>][] = [
  [{ isEqual: true, isUnchanged: false }, "raced"],
  [{ isEqual: true, isUnchanged: false, hasWaited: true }, "late"],
  [{ isEqual: true, isUnchanged: true, hasWaited: true }, "late"],
  [{ isEqual: false, isUnchanged: true }, "wait"],
  [{ isEqual: false, isUnchanged: true, hasWaited: true }, "different"],
  [{ isEqual: false, isUnchanged: true, hasWaited: true, roundsLeft: 0 }, "different"],
  [{ isEqual: false, isUnchanged: false }, "again"],
  [{ isEqual: false, isUnchanged: false, hasWaited: true }, "again"],
  [{ isEqual: false, isUnchanged: false, roundsLeft: 0 }, "inconclusive"],
];

for (const [given, expected] of BRACKETS) {
  Deno.test(`after a repeat, ${JSON.stringify(given)} means ${expected}`, () => {
    const bracket = {
      isEqual: false,
      isUnchanged: false,
      hasWaited: false,
      roundsLeft: 2,
      ...given,
    };
    strictEqual(readBracket(bracket), expected);
  });
}

const get = captured("GET", "/api/traceability/A");
const trace = (weight: string, parents: number[] = []) =>
  responseOf(200, `{"central":{"weight_kg":"${weight}"},"parents":[${parents}],"children":[]}`);

/** The responses of both upstreams in turn; the last of each is repeated. */
function script(responses: Record<Upstream, Exchange[]>) {
  const requested: string[] = [];
  return {
    asked: requested,
    ask: (upstream: Upstream, request: CapturedRequest): Promise<Exchange> => {
      requested.push(`${upstream} ${request.method}`);
      const [next, ...rest] = responses[upstream];
      if (rest.length > 0) responses[upstream] = rest;
      return Promise.resolve(next ?? { failure: "refused", ms: 1 });
    },
  };
}

async function confirm(
  first: Record<Upstream, CapturedResponse>,
  then: Record<Upstream, Exchange[]>,
  upstream: Upstream = "legacy",
  request = get,
) {
  const pair = pairOf("getTraceability", request, first.legacy, first.service);
  const { differences } = compare(pair, rules);
  const waited: number[] = [];
  const { ask: send, asked: requested } = script(then);
  const confirmed = await confirmRead(
    { ...pair, upstream, differences, rules },
    send,
    (ms) => Promise.resolve(void waited.push(ms)),
  );
  return { ...confirmed, asked: requested, waited };
}

const silent: Exchange = { failure: "timeout", ms: 300 };
const [one, two, three, four, five] = ["1", "2", "3", "4", "5"].map((weight) => trace(weight));
if (!one || !two || !three || !four || !five) throw new Error("five responses");

const READS: [
  what: string,
  first: Record<Upstream, CapturedResponse>,
  then: Record<Upstream, Exchange[]>,
  outcome: string,
][] = [
  [
    "the old server now says what Lotline said",
    { legacy: one, service: two },
    { legacy: [two], service: [] },
    "raced",
  ],
  [
    "the data changed once more",
    { legacy: one, service: two },
    { legacy: [three], service: [three] },
    "raced",
  ],
  [
    "Lotline was behind, a moment later it isn't",
    { legacy: two, service: one },
    { legacy: [two], service: [two] },
    "late",
  ],
  [
    "nothing changes",
    { legacy: one, service: two },
    { legacy: [one], service: [two] },
    "different",
  ],
  [
    "the data changed, but that isn't it",
    { legacy: one, service: five },
    { legacy: [two], service: [five] },
    "different",
  ],
  [
    "a lot that always changes",
    { legacy: one, service: two },
    { legacy: [two, three, four, five, one, two], service: [one, one, two, three] },
    "raced",
  ],
  [
    "the old server stops responding",
    { legacy: one, service: two },
    { legacy: [silent], service: [] },
    "unanswered",
  ],
  [
    "Lotline can't respond now",
    { legacy: one, service: two },
    { legacy: [one], service: [responseOf(503, "{}")] },
    "unanswered",
  ],
];

for (const [what, first, then, outcome] of READS) {
  Deno.test(`two reads differ; ${what}: ${outcome}`, async () => {
    strictEqual((await confirm(first, { ...then })).outcome, outcome);
  });
}

Deno.test("a fault that stays while other parts of the lot change is found", async () => {
  const moving = (i: number) => trace("540.0", [i]);
  const wrong = (i: number) => trace("540.00", [i]);
  const { outcome, differences } = await confirm(
    { legacy: moving(0), service: wrong(1) },
    { legacy: [2, 4, 6, 8].map(moving), service: [3, 5, 7].map(wrong) },
  );
  strictEqual(outcome, "different");
  strictEqual(differences[0]?.place, "body.central.weight_kg");
});

Deno.test("the upstream that responded to the client is repeated first", async () => {
  const first = { legacy: two, service: one };
  const { outcome, asked: requested } = await confirm(
    first,
    { legacy: [], service: [two] },
    "service",
  );
  strictEqual(outcome, "raced");
  deepStrictEqual(requested, ["service GET"]);
});

Deno.test("it waits once, longer than a cache may be stale, and stops after some rounds", async () => {
  const still = await confirm({ legacy: one, service: two }, { legacy: [one], service: [two] });
  deepStrictEqual(still.waited, [250]);
  deepStrictEqual(still.asked.length, 4);
  const responses = Array.from({ length: 30 }, (_, i) => trace(`${i}.5`));
  const moving = await confirm(
    { legacy: one, service: two },
    { legacy: responses, service: responses.toReversed() },
  );
  strictEqual(moving.outcome, "raced");
  strictEqual(moving.asked.length, 7);
});

const NOT_MODIFIED = responseOf(304, "");
const conditional = captured("GET", "/api/traceability/A", "", [["If-None-Match", 'W/"a-b"']]);
const TAGS: [what: string, service: CapturedResponse, outcome: string][] = [
  [
    "the order of lots",
    responseOf(200, textOf(trace("1", [2, 1])), { etag: 'W/"c"' }),
    "same",
  ],
  [
    "the same bytes under another ETag",
    responseOf(200, textOf(trace("1", [1, 2])), { etag: 'W/"a-b"' }),
    "different",
  ],
  ["another lot", responseOf(200, textOf(trace("9", [2, 1])), { etag: 'W/"c"' }), "different"],
];

for (const [what, service, outcome] of TAGS) {
  Deno.test(`one upstream knows the client's validator and the other doesn't, for ${what}: ${outcome}`, async () => {
    const plain = trace("1", [1, 2]);
    const first = { legacy: NOT_MODIFIED, service };
    const then = { legacy: [plain, NOT_MODIFIED], service: [service] };
    strictEqual((await confirm(first, then, "legacy", conditional)).outcome, outcome);
  });
}

function textOf({ body }: CapturedResponse): string {
  return new TextDecoder().decode(body);
}

const refused = (words: string) => responseOf(409, JSON.stringify({ error: words }));
const stored = responseOf(201, '{"id":"0d9c7b1a-3a77-4b1c-8f0e-6a2f3e4d5c6b"}');
const DUPLICATE = responseOf(
  500,
  '{"error":"duplicate key value violates unique constraint \\"x\\""}',
);
const WRITES: [
  what: string,
  operation: LegacyOperation,
  legacy: CapturedResponse,
  dryRun: CapturedResponse,
  again: Exchange,
  outcome: string,
][] = [
  ["the code was taken in between", "createLot", DUPLICATE, stored, refused("taken"), "raced"],
  ["it stays stored for Lotline", "createLot", DUPLICATE, stored, stored, "different"],
  ["the reference is there by now", "createLot", stored, refused("no phase"), stored, "raced"],
  [
    "Lotline doesn't see the reference",
    "createLot",
    stored,
    refused("no phase"),
    refused("no phase"),
    "different",
  ],
  ["the lot is there by now", "createQcDecision", stored, refused("no lot"), stored, "raced"],
  [
    "Lotline stores it otherwise",
    "createLot",
    stored,
    responseOf(201, "{}"),
    refused("taken"),
    "different",
  ],
  ["Lotline stops responding", "createLot", DUPLICATE, stored, silent, "unanswered"],
];

for (const [what, operation, legacy, dryRun, again, outcome] of WRITES) {
  Deno.test(`a write's responses differ; ${what}: ${outcome}`, async () => {
    const request = captured("POST", "/api/lots", '{"lot_code":"L","phase_id":"p"}');
    const pair = pairOf(operation, request, legacy, dryRun);
    const { differences } = compare(pair, []);
    const requested: CapturedRequest[] = [];
    const found = await confirmWrite({ ...pair, upstream: "legacy", differences, rules }, (one) => {
      requested.push(one);
      return Promise.resolve(again);
    });
    strictEqual(found.outcome, outcome);
    strictEqual(requested.length, 1);
  });
}

Deno.test("a missing reference is checked with another code, since the write took its own", async () => {
  const request = captured("POST", "/api/lots", '{"id":"i","lot_code":"L","phase_id":"p"}');
  const pair = pairOf("createLot", request, stored, refused("no phase"));
  let body = "";
  await confirmWrite({ ...pair, upstream: "legacy", differences: [], rules }, (one) => {
    body = new TextDecoder().decode(one.body);
    return Promise.resolve(stored);
  });
  const { lot_code, ...others } = JSON.parse(body);
  deepStrictEqual([lot_code === "L", others], [false, { phase_id: "p" }]);
});
