import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { createClientReader } from "../../client_address.ts";
import { startTestGatewayServer } from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";
import { isLegacyOperation, type LegacyOperation, type Operation } from "../exchange/operations.ts";
import { type Peer, readRequestHead } from "./request_head.ts";
import type { Mode, Route } from "../exchange/route.ts";
import { decide, decideFallback, type Decision } from "./decide.ts";

const PEER = { address: "192.0.2.1", isTrusted: false };
const LEGACY: Mode = { name: "legacy" };
const SHADOW: Mode = { name: "shadow" };
const SERVICE: Mode = { name: "service" };
/** All clients, of every bucket. */
const canary = (percent: 0 | 100): Mode => ({ name: "canary", percent });

/** The head of a request with these headers, names and values in turn. */
function headOf(headers: readonly string[], peer: Peer) {
  const head = readRequestHead({ rawHeaders: [...headers], httpVersion: "1.1" }, peer);
  if ("mistake" in head) throw new Error(head.mistake[1]);
  return head;
}

const HEAD = headOf(["Host", "plant"], PEER);

/** The decision for a request, with every route in this mode. */
function depsOf(mode: Mode, { wants = true, epoch = 1 } = {}) {
  const requested: LegacyOperation[] = [];
  return {
    requested,
    routeOf: (operation: Operation): Route => ({
      operation,
      mode,
      epoch,
      samplePercent: 100,
      latch: undefined,
    }),
    readClient: createClientReader([]),
    canaryBy: "client" as const,
    observer: {
      wants(operation: LegacyOperation) {
        requested.push(operation);
        return wants;
      },
    },
  };
}

const find = (mode: Mode, method: string, target: string, more = {}) =>
  decide(depsOf(mode, more), method, target, HEAD, PEER);

const REQUESTS = {
  write: ["POST", "/api/lots"],
  "QC decision": ["POST", "/api/qc-decisions"],
  login: ["POST", "/api/login"],
  read: ["GET", "/api/traceability/A"],
} as const;

/** In each mode: the upstream, and what is compared. */
const DECISIONS: [
  what: keyof typeof REQUESTS,
  mode: Mode,
  upstream: Decision["upstream"],
  compared: Decision["compared"],
][] = [
  // Neither may wait for Lotline: the exchange is compared after the old server's response.
  ["write", LEGACY, "legacy", "response"],
  ["QC decision", LEGACY, "legacy", "response"],
  ["login", LEGACY, "legacy", "response"],
  ["read", LEGACY, "legacy", "response"],
  ["write", SHADOW, "legacy", "dry_run"],
  ["QC decision", SHADOW, "legacy", "dry_run"],
  ["login", SHADOW, "legacy", "response"],
  ["read", SHADOW, "legacy", "response"],
  ["write", canary(0), "legacy", "dry_run"],
  ["write", canary(100), "service", undefined],
  ["read", canary(0), "legacy", "response"],
  ["read", canary(100), "service", "response"],
  ["write", SERVICE, "service", undefined],
  ["QC decision", SERVICE, "service", undefined],
  ["login", SERVICE, "service", "response"],
  ["read", SERVICE, "service", "response"],
];

for (const [what, mode, upstream, compared] of DECISIONS) {
  const percent = mode.name === "canary" ? ` of ${mode.percent} %` : "";
  Deno.test(`a ${what} in ${mode.name}${percent} goes to ${upstream}; compared: ${compared ?? "no"}`, () => {
    const [method, target] = REQUESTS[what];
    const decision = find(mode, method, target);
    deepStrictEqual([decision.upstream, decision.compared], [upstream, compared]);
    strictEqual(find(mode, method, target, { wants: false }).compared, undefined);
    strictEqual(decision.isSafe, what === "read" || what === "login");
  });
}

Deno.test("a write that went to Lotline is never compared, so its comparison isn't considered", () => {
  const deps = depsOf(SERVICE);
  decide(deps, "POST", "/api/lots", HEAD, PEER);
  deepStrictEqual(deps.requested, []);
});

Deno.test("requests outside the contract go to the old server, whether safe or not", () => {
  for (const method of ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "DELETE", "PATCH"]) {
    const decision = find(SERVICE, method, "/no/such/path");
    deepStrictEqual([decision.route, decision.comparable, decision.upstream, decision.compared], [
      undefined,
      undefined,
      "legacy",
      undefined,
    ]);
    strictEqual(decision.isSafe, ["GET", "HEAD", "OPTIONS", "TRACE"].includes(method));
  }
});

Deno.test("operations that only Lotline has are never compared", () => {
  const decision = find(SERVICE, "GET", "/api/audits");
  const operation = decision.route?.operation;
  deepStrictEqual([operation, operation && isLegacyOperation(operation)], ["listAudits", false]);
  deepStrictEqual([decision.comparable, decision.upstream, decision.compared], [
    undefined,
    "service",
    undefined,
  ]);
});

/** The route, at sending time, of a request decided for Lotline: the upstream then. */
const CHANGES: [what: string, mode: Mode, epoch: number, isBack: boolean][] = [
  ["hasn't changed", SERVICE, 1, false],
  ["was set to the same mode again", SERVICE, 2, false],
  ["was rolled back", LEGACY, 2, true],
  ["was killed, which is no new epoch", LEGACY, 1, true],
  ["is in shadow by now", SHADOW, 2, true],
  ["is a canary that has this client", canary(100), 2, false],
  ["is a canary that hasn't this client", canary(0), 2, true],
];

for (const [what, mode, epoch, isBack] of CHANGES) {
  Deno.test(`a request whose route ${what} ${isBack ? "goes back" : "stays Lotline's"}`, () => {
    const before = find(SERVICE, "GET", "/api/traceability/A");
    const after = depsOf(mode, { epoch });
    const decision = decideFallback(after, before, HEAD, PEER);
    if (!isBack) return strictEqual(decision, undefined);
    deepStrictEqual([decision?.upstream, decision?.compared, decision?.isSafe], [
      "legacy",
      undefined,
      true,
    ]);
    deepStrictEqual([decision?.route?.mode, decision?.route?.epoch], [mode, epoch]);
    strictEqual(decision?.comparable, "getTraceability");
  });
}

Deno.test("a request goes back when its canary has shrunk, though its route is still a canary", () => {
  const before = find(canary(100), "GET", "/api/traceability/A");
  const decision = decideFallback(depsOf(canary(0), { epoch: 2 }), before, HEAD, PEER);
  strictEqual(decision?.upstream, "legacy");
});

const HALF: Mode = { name: "canary", percent: 50 };
const ADDRESSES = Array.from({ length: 64 }, (_, at) => `198.51.100.${at}`);

/** The upstreams of a half canary for clients behind a proxy, and those from which they go back. */
function upstreamsOf(trustedProxies: readonly string[]) {
  const peer = { ...PEER, isTrusted: trustedProxies.length > 0 };
  const readClient = createClientReader(trustedProxies);
  const before = find(SERVICE, "GET", "/api/traceability/A");
  return ADDRESSES.map((address) => {
    const head = headOf(["Host", "plant", "X-Forwarded-For", address], peer);
    const deps = { ...depsOf(HALF, { epoch: 2 }), readClient };
    const { upstream } = decide(deps, "GET", "/api/traceability/A", head, peer);
    const back = decideFallback(deps, before, head, peer)?.upstream ?? "service";
    strictEqual(back, upstream, "a client that goes back does so by the same share");
    return upstream;
  });
}

Deno.test("a canary distinguishes clients by the address from a trusted proxy only", () => {
  deepStrictEqual(new Set(upstreamsOf([PEER.address])), new Set(["legacy", "service"]));
  strictEqual(new Set(upstreamsOf([])).size, 1);
});

Deno.test("a request for the old server, or without an operation, never goes back", () => {
  const rolledBack = depsOf(LEGACY, { epoch: 2 });
  const onLegacy = find(SHADOW, "GET", "/api/traceability/A");
  strictEqual(decideFallback(rolledBack, onLegacy, HEAD, PEER), undefined);
  strictEqual(decideFallback(rolledBack, find(SERVICE, "GET", "/no"), HEAD, PEER), undefined);
});

const never = () => new Promise<never>(() => {});
const WAITLESS: [what: string, mode: Mode, request: string][] = [
  ["a write on a route in legacy", LEGACY, "POST /api/lots HTTP/1.1\r\nContent-Length: 2"],
  ["a read in shadow", SHADOW, "GET /api/traceability/A HTTP/1.1"],
  ["a login in shadow", SHADOW, "POST /api/login HTTP/1.1\r\nContent-Length: 2"],
];

for (const [what, mode, request] of WAITLESS) {
  Deno.test(`${what} gets its response, and is observed, without waiting for a dry run`, async () => {
    await using upstream = await startRawUpstream(rawResponse("200 OK", "ok"));
    const requested: string[] = [];
    await using gateway = await startTestGatewayServer({
      legacyUrl: upstream.url,
      mode,
      compares: true,
      dryRun: (_request, operation) => {
        requested.push(operation);
        return never();
      },
    });
    const body = request.startsWith("POST") ? "{}" : "";
    using client = openRawClient(
      gateway.port,
      `${request}\r\nHost: plant\r\nConnection: close\r\n\r\n${body}`,
    );
    match(await client.ended, /^HTTP\/1\.1 200 [^]*\r\n\r\nok$/);
    deepStrictEqual([requested, gateway.observed.length], [[], 1]);
  });
}

// A plant's front end may be there.
Deno.test("the path / goes to the old server in every mode", () => {
  for (const mode of [LEGACY, SHADOW, canary(100), SERVICE]) {
    for (const method of ["GET", "HEAD", "POST"]) {
      strictEqual(find(mode, method, "/").upstream, "legacy", `${method} ${mode.name}`);
    }
  }
});
