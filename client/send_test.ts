import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
  throws,
} from "node:assert/strict";
import { freePort } from "../dev/free_port.ts";
import { withDeadline } from "../testing/eventually.ts";
import {
  type RawResponse,
  rawResponse,
  type RawUpstream,
  startRawUpstream,
} from "../testing/raw_upstream.ts";
import { type ClientOptions, createClient } from "./client.ts";
import { LotlineError } from "./errors.ts";

/* Against servers that respond byte for byte what a test says, or nothing at all. */

const JSON_TYPE = "Content-Type: application/json\r\n";
const NOW = "Retry-After: 0\r\n";
const HEALTH = { status: "ok", timestamp: "2026-01-18T06:02:00.000Z" } as const;
const healthy = rawResponse("200 OK", JSON.stringify(HEALTH), JSON_TYPE);
const sorry = (status: string, headers = "") =>
  rawResponse(status, '{"error":"Sorry"}', JSON_TYPE + headers);
const created = rawResponse("201 Created", '{"lot_code":"A"}', JSON_TYPE);

/** A server with these responses, one a request, then the last one for ever; and a client of it. */
async function serverOf(responses: (string | RawResponse)[], options: Partial<ClientOptions> = {}) {
  const upstream = await startRawUpstream((socket, request, count) => {
    const response = responses[Math.min(count, responses.length) - 1] ?? "";
    if (typeof response === "string") socket.write(response, "latin1");
    else response(socket, request, count);
  });
  return {
    upstream,
    client: createClient({ baseUrl: upstream.url, ...options }),
    [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose](),
  };
}

const lost: RawResponse = (socket) => socket.destroy();
const noResponse: RawResponse = () => {};
/** A response that ends before its body does. */
const brokenOff: RawResponse = (socket) => socket.end(healthy.slice(0, -5));
const stalled: RawResponse = (socket) => socket.write(healthy.slice(0, -5));

function header(upstream: RawUpstream, name: string): (string | undefined)[] {
  return upstream.requests.map((one) => RegExp(`^${name}: (.*)\\r$`, "im").exec(one)?.[1]);
}

const bodies = (upstream: RawUpstream) => upstream.requests.map((one) => one.split("\r\n\r\n")[1]);

Deno.test("a POST whose response is lost is sent again, the same to the letter, with the same key", async () => {
  await using server = await serverOf([lost, sorry("503 Service Unavailable", NOW), created]);
  await server.client.createLot({ lot_code: "A", weight_kg: "12.50", metadata: { é: 1 } });
  const [first, ...others] = bodies(server.upstream);
  deepStrictEqual(others, [first, first]);
  const [key, ...keys] = header(server.upstream, "idempotency-key");
  match(key ?? "", /^[0-9a-f]{32}$/);
  deepStrictEqual(keys, [key, key]);
  await server.client.createLot({ lot_code: "A" });
  notStrictEqual(header(server.upstream, "idempotency-key").at(-1), key);
});

Deno.test("every POST but login has a key, the caller's where there is one, and no GET has", async () => {
  await using server = await serverOf([rawResponse("200 OK", '{"token":"t"}', JSON_TYPE)]);
  const { client, upstream } = server;
  await client.login({ email: "a@example.com" });
  await client.getHealth();
  deepStrictEqual(header(upstream, "idempotency-key"), [undefined, undefined]);
  await client.createLot({ lot_code: "A" }, { idempotencyKey: "mine" });
  await client.createQcDecision({ notes: "n" }, { idempotencyKey: "mine" });
  await client.createDeepTrace(
    { lot_code: "A", direction: "both" },
    { idempotencyKey: "mine" },
  );
  await client.createAudit({ idempotencyKey: "mine" });
  deepStrictEqual(header(upstream, "idempotency-key").slice(2), Array(4).fill("mine"));
  await client.createQcDecision({ notes: "n" });
  await client.createDeepTrace({ lot_code: "A", direction: "both" });
  await client.createAudit();
  await client.logout();
  await client.api.POST("/api/audits");
  const keys = header(upstream, "idempotency-key").slice(6);
  deepStrictEqual([keys.length, new Set(keys).size, keys.includes(undefined)], [5, 5, false]);
});

const PASSING: [name: string, response: string | RawResponse, timeoutMs?: number][] = [
  ["lost", lost],
  ["broken off", brokenOff],
  ["too late", noResponse, 1_000],
  ["too late with its last bytes", stalled, 1_000],
  ["502", sorry("502 Bad Gateway", NOW)],
  ["503", sorry("503 Service Unavailable", NOW)],
  ["504", sorry("504 Gateway Timeout", NOW)],
  ["429 with Retry-After", sorry("429 Too Many Requests", NOW)],
  ["409 with Retry-After", sorry("409 Conflict", NOW)],
];

Deno.test("a GET is repeated when its response is one that passes, or none", async () => {
  const outcomes = await Promise.all(PASSING.map(async ([name, response, timeoutMs]) => {
    await using server = await serverOf([response, healthy], { timeoutMs });
    return [name, await server.client.getHealth(), server.upstream.requests.length > 1];
  }));
  deepStrictEqual(outcomes, PASSING.map(([name]) => [name, HEALTH, true]));
});

Deno.test("what another try can't change is told at once", async () => {
  for (const status of ["400 Bad Request", "409 Conflict", "422 Nope", "500 Oh", "501 No"]) {
    await using server = await serverOf([sorry(status, status.startsWith("409") ? "" : NOW)]);
    await rejects(server.client.createLot({ lot_code: "A" }), {
      message: "Sorry",
      status: Number(status.slice(0, 3)),
    });
    strictEqual(server.upstream.requests.length, 1, status);
  }
});

Deno.test("a login is never repeated, whatever becomes of it", async () => {
  for (const response of [lost, sorry("503 Service Unavailable", NOW)]) {
    await using server = await serverOf([response]);
    await rejects(server.client.login({ email: "a@example.com" }), LotlineError);
    strictEqual(server.upstream.requests.length, 1);
  }
});

Deno.test("a request whose login fails for a while is repeated with it", async () => {
  const login = { email: "a@example.com" };
  const token = rawResponse("200 OK", '{"token":"t"}', JSON_TYPE);
  await using server = await serverOf([lost, token, created], { login });
  await server.client.createLot({ lot_code: "A" });
  deepStrictEqual(header(server.upstream, "authorization"), [undefined, undefined, "Bearer t"]);
});

Deno.test("tries have an end, and so has the time that a client waits when asked to", async () => {
  await using busy = await serverOf([sorry("503 Service Unavailable", NOW)], { retries: 1 });
  await rejects(busy.client.getHealth(), { kind: "away", message: "Sorry", retryAfterMs: 0 });
  strictEqual(busy.upstream.requests.length, 2);
  await using shut = await serverOf([sorry("429 Too Many Requests", "Retry-After: 900\r\n")]);
  await rejects(shut.client.getHealth(), { kind: "too_many", retryAfterMs: 900_000 });
  strictEqual(shut.upstream.requests.length, 1);
});

Deno.test("no response is another kind of error than a late one, with the cause", async () => {
  const kinds: [response: RawResponse, kind: string, timeoutMs?: number][] = [
    [lost, "network"],
    [brokenOff, "network"],
    [noResponse, "timeout", 200],
    [stalled, "timeout", 200],
  ];
  for (const [response, kind, timeoutMs] of kinds) {
    await using server = await serverOf([response], { retries: 0, timeoutMs });
    const error = await server.client.getHealth().catch((error) => error);
    deepStrictEqual([error.kind, error.status, error.cause !== undefined], [kind, undefined, true]);
  }
});

Deno.test("the caller's signal ends a call while it waits for a response or the next try", async () => {
  const reason = new Error("enough");
  for (
    const response of [noResponse, stalled, sorry("503 Service Unavailable", "Retry-After: 25\r\n")]
  ) {
    await using server = await serverOf([response]);
    const controller = new AbortController();
    const { signal } = controller;
    const call = server.client.getHealth({ signal });
    setTimeout(() => controller.abort(reason), 100);
    await withDeadline("it ends early", rejects(call, reason));
    strictEqual(server.upstream.requests.length, 1);
    await rejects(server.client.createAudit({ signal }), reason);
    strictEqual(server.upstream.requests.length, 1);
  }
});

Deno.test("a response that isn't the contract's is reported as that, and not requested again", async () => {
  const html = "Content-Type: text/html\r\n";
  const responses = [
    rawResponse("200 OK", "<h1>Hello</h1>", html),
    rawResponse("200 OK"),
    rawResponse("204 No Content"),
  ];
  for (const response of responses) {
    await using server = await serverOf([response]);
    await rejects(server.client.getHealth(), { kind: "unreadable" });
    strictEqual(server.upstream.requests.length, 1);
    const login = { email: "a@example.com" };
    await rejects(server.client.login(login), { kind: "unreadable" });
    const late = createClient({ baseUrl: server.upstream.url, login });
    await rejects(late.listAudits(), { kind: "unreadable" });
    strictEqual(server.upstream.requests.length, 3);
  }
});

Deno.test("the token goes to no other place, and another's token is left as it is", async () => {
  await using server = await serverOf([rawResponse("200 OK", "{}", JSON_TYPE)]);
  await using other = await serverOf([rawResponse("200 OK", "{}", JSON_TYPE)]);
  const { api } = createClient({ baseUrl: `${server.upstream.url}/`, token: "ours" });
  await api.GET("/api/audits", { baseUrl: other.upstream.url });
  await api.GET("/api/audits");
  await api.GET("/api/audits", { headers: { authorization: "Bearer another" } });
  // An address that only begins in the same way.
  const nearby = createClient({ baseUrl: `${other.upstream.url}/plant`, token: "ours" });
  await nearby.api.GET("/api/audits", { baseUrl: `${other.upstream.url}/plants` });
  deepStrictEqual(header(other.upstream, "authorization"), [undefined, undefined]);
  deepStrictEqual(header(server.upstream, "authorization"), ["Bearer ours", "Bearer another"]);
});

Deno.test("pages that go round in circles have an end", async () => {
  const page = rawResponse("200 OK", '{"audits":[{"id":"1"}],"next_cursor":"x"}', JSON_TYPE);
  await using server = await serverOf([page]);
  const seen: unknown[] = [];
  const readAll = async () => {
    for await (const audit of server.client.audits()) seen.push(audit);
  };
  await rejects(readAll(), { kind: "unreadable" });
  deepStrictEqual([seen.length, server.upstream.requests.length], [2, 2]);
});

Deno.test("a path in the base address is kept, and a code is one part of a path", async () => {
  await using server = await serverOf([rawResponse("200 OK", "{}", JSON_TYPE)]);
  const client = createClient({ baseUrl: `${server.upstream.url}/plant/1/`, token: "t" });
  await client.getTraceability("A/B c?é%2F");
  await client.getHealth();
  deepStrictEqual(server.upstream.requests.map((one) => one.split(" HTTP")[0]), [
    "GET /plant/1/api/traceability/A%2FB%20c%3F%C3%A9%252F",
    "GET /plant/1/api/health",
  ]);
  deepStrictEqual(header(server.upstream, "authorization"), ["Bearer t", undefined]);
  for (const id of ["", ".", ".."]) await rejects(client.getAudit(id), TypeError);
  strictEqual(server.upstream.requests.length, 2);
});

Deno.test("settings that can't be right are refused when the client is made", () => {
  const baseUrl = "http://127.0.0.1:8000";
  const wrong: ClientOptions[] = [
    { baseUrl: "" },
    { baseUrl: "/api" },
    { baseUrl: "ftp://127.0.0.1" },
    { baseUrl: `${baseUrl}?a=1` },
    { baseUrl: "http://name:secret@127.0.0.1" },
    { baseUrl: "http://:secret@127.0.0.1" },
    { baseUrl, retries: -1 },
    { baseUrl, retries: 0.5 },
    { baseUrl, timeoutMs: 0 },
    { baseUrl, timeoutMs: 2 ** 31 },
  ];
  for (const options of wrong) {
    let thrown: unknown;
    try {
      createClient(options);
    } catch (error) {
      thrown = error;
    }
    strictEqual(thrown instanceof TypeError, true, JSON.stringify(options));
  }
});

const WRONG_ADDRESSES: [what: string, options: unknown, message: RegExp][] = [
  ["no options", undefined, /^baseUrl is missing: createClient\(\{ baseUrl: /],
  ["no address", {}, /^baseUrl is missing: /],
  ["an unset variable", { baseUrl: undefined }, /^baseUrl is missing: /],
  ["an empty address", { baseUrl: "" }, /^baseUrl is missing: /],
  ["an address for the options", "http://127.0.0.1:8000", /^baseUrl is missing: /],
  ["no protocol", { baseUrl: "localhost:8000" }, /http:\/\/ or https:\/\/, not "localhost:8000"$/],
  ["a path", { baseUrl: "/api" }, /, not "\/api"$/],
  ["no host", { baseUrl: "http://" }, /, not "http:\/\/"$/],
  ["a password", { baseUrl: "http://a:secret@b" }, /^baseUrl must have no user, no query/],
];

for (const [what, options, message] of WRONG_ADDRESSES) {
  Deno.test(`a client with a wrong address is refused with what is wrong: ${what}`, () => {
    // As JavaScript would call it.
    throws(() => Reflect.apply(createClient, undefined, [options]), { name: "TypeError", message });
  });
}

Deno.test("a failure without a response names the address and the cause", async () => {
  const nobody = `http://127.0.0.1:${freePort()}`;
  await rejects(createClient({ baseUrl: `${nobody}/plant`, retries: 0 }).getHealth(), (error) => {
    ok(error instanceof LotlineError);
    ok(error.message.startsWith(`No response from ${nobody}: `), error.message);
    match(error.message, /refused/i);
    return true;
  });
  await using silent = await serverOf([noResponse], { retries: 0, timeoutMs: 200 });
  await rejects(silent.client.getHealth(), {
    kind: "timeout",
    message: `No response from ${silent.upstream.url} within 200 ms`,
  });
});
