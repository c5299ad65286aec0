import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import net from "node:net";
import { hashPassword } from "../auth/password_work.ts";
import { insertAccount } from "../testing/accounts.ts";
import { REQUIRED, startApi } from "../testing/api.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { chromiumForTests } from "../testing/chromium.ts";
import { clientSite, inPage } from "../testing/client_site.ts";
import { withDeadline } from "../testing/eventually.ts";
import { rawResponse, startRawUpstream } from "../testing/raw_upstream.ts";
import { unusedAddress } from "../testing/test_server.ts";
import { startWorker } from "../testing/worker.ts";

/* The package's bundle in a page of another origin than the service, in Chromium. */

const browser = await chromiumForTests();
const site = await clientSite();
const { api: legacy, sql, databaseUrl } = await apiOnSeed();
const required = await startApi({
  databaseUrl,
  keyFile: legacy.keyFile,
  environment: { ...REQUIRED, CORS_ORIGINS: site.origin, LOGIN_MAX_FAILURES_PER_ACCOUNT: "1" },
});
Deno.test.afterAll(async () => await required[Symbol.asyncDispose]());

const password = "correct horse battery";
const hash = await hashPassword(password, 4);
const newLogin = async () => ({
  email: (await insertAccount(sql, { role: "ADMIN", hash })).email,
  password,
});
const newCode = () => `PAGE-${crypto.randomUUID()}`;

/** A page of the site, or of another origin with the same files. */
async function openPage(origin = site.origin) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(origin);
  return { page, [Symbol.asyncDispose]: () => context.close() };
}

Deno.test("in both modes a page logs in, stores, decides, traces, and reads pages and lines", async () => {
  await using opened = await openPage();
  await using _worker = await startWorker({ databaseUrl });
  for (const { url } of [legacy, required]) {
    const given = { baseUrl: url, login: await newLogin(), lot_code: newCode() };
    const result = await inPage(opened.page, async ({ createClient }, given) => {
      const { baseUrl, login, lot_code } = given;
      const client = createClient({ baseUrl });
      const { user } = await client.login(login);
      const { id, weight_kg } = await client.createLot({ lot_code, weight_kg: "12.50" });
      const { decision } = await client.createQcDecision({ lot_id: id, decision: "PASS" });
      const { central } = await client.getTraceability(lot_code);
      const trace = { lot_code: "MIX-BATCH-88", direction: "both" } as const;
      const { id: traceId } = await client.createDeepTrace(trace);
      const { result } = await client.waitForDeepTrace(traceId);
      const counts = { lot: 0, link: 0, page: 0, trace: 0 };
      for await (const page of client.deepTracePages(traceId, { limit: 2 })) {
        counts.page += page.result.lots.length + page.result.links.length;
      }
      for await (const line of client.deepTraceLines(traceId)) counts[line.type]++;
      const audit = await client.createAudit();
      const { summary } = await client.waitForAudit(audit.id);
      await client.logout();
      const after = await client.listAudits().then(() => "open", (error) => error.kind);
      return {
        user: user.email,
        lot: [weight_kg, decision, central.weight_kg],
        lines: counts.trace === 1 && counts.lot === result.lot_count &&
          counts.link === result.link_count,
        pages: counts.page === result.lot_count + result.link_count,
        audited: summary !== null,
        after,
      };
    }, given);
    deepStrictEqual(result, {
      user: given.login.email,
      lot: ["12.50", "PASS", "12.50"],
      lines: true,
      pages: true,
      audited: true,
      after: url === legacy.url ? "open" : "unauthorized",
    });
  }
});

Deno.test("a page replaces a token that was ended elsewhere, without a word to its user", async () => {
  await using opened = await openPage();
  const given = { baseUrl: required.url, login: await newLogin() };
  const logins = await inPage(opened.page, async ({ createClient }, { baseUrl, login }) => {
    const { token } = await createClient({ baseUrl }).login(login);
    await createClient({ baseUrl, token }).logout();
    let logins = 0;
    const counted = (request: Request) => {
      if (request.url.endsWith("/api/login")) logins++;
      return fetch(request);
    };
    await createClient({ baseUrl, token, login, fetch: counted }).listAudits();
    return logins;
  }, given);
  strictEqual(logins, 1);
});

Deno.test("a page reads the headers that the contract names, and gets its own 304", async () => {
  await using opened = await openPage();
  for (const { url: baseUrl } of [legacy, required]) {
    const given = { baseUrl, login: await newLogin(), lot_code: newCode() };
    const read = await inPage(opened.page, async ({ createClient }, given) => {
      const { baseUrl, login, lot_code } = given;
      const { api } = createClient({ baseUrl, login });
      const options = { body: { lot_code }, headers: { "idempotency-key": lot_code } };
      await api.POST("/api/lots", options);
      const repeated = await api.POST("/api/lots", options);
      const audit = await api.POST("/api/audits");
      const params = { path: { lotCode: lot_code } };
      const { response } = await api.GET("/api/traceability/{lotCode}", { params });
      const etag = response.headers.get("etag") ?? "";
      const headers = { "if-none-match": etag };
      const again = await api.GET("/api/traceability/{lotCode}", { params, headers });
      return {
        replayed: repeated.response.headers.get("idempotency-replayed"),
        requestId: repeated.response.headers.get("x-request-id")?.length,
        location: audit.response.headers.get("location")?.slice(0, 12),
        etag: etag.slice(0, 3),
        again: [again.response.status, again.response.headers.get("etag") === etag],
      };
    }, given);
    deepStrictEqual(read, {
      replayed: "true",
      requestId: 36,
      location: "/api/audits/",
      etag: 'W/"',
      again: [304, true],
    });
  }
});

Deno.test("a page's errors have kind, sentence, request id, and when to come again", async () => {
  await using opened = await openPage();
  const given = { baseUrl: required.url, login: { ...await newLogin(), password: "wrong" } };
  const errors = await inPage(opened.page, async ({ createClient, LotlineError }, given) => {
    const client = createClient({ baseUrl: given.baseUrl, retries: 0 });
    const errors = [];
    for (const call of [client.listAudits, () => client.login(given.login)]) {
      errors.push(await call().catch((error) => error));
    }
    errors.push(await client.login(given.login).catch((error) => error));
    return errors.map((error) => ({
      isOurs: error instanceof LotlineError,
      kind: error.kind,
      hasId: error.requestId?.length === 36,
      waits: error.retryAfterMs > 0,
    }));
  }, given);
  const shared = { isOurs: true, hasId: true };
  deepStrictEqual(errors, [
    { ...shared, kind: "unauthorized", waits: false },
    { ...shared, kind: "unauthorized", waits: false },
    { ...shared, kind: "too_many", waits: true },
  ]);
});

Deno.test("a page of an origin that isn't listed stores nothing, and its error says what to look at", async () => {
  await using opened = await openPage(site.otherOrigin);
  const lot_code = newCode();
  const given = { addresses: [required.url, unusedAddress()], lot_code };
  const messages = await inPage(opened.page, async ({ createClient }, given) => {
    const messages = [];
    for (const baseUrl of given.addresses) {
      const client = createClient({ baseUrl, token: "t", retries: 0 });
      const error = await client.createLot({ lot_code: given.lot_code }).catch((error) => error);
      messages.push([error.kind, error.message]);
    }
    return messages;
  }, given);
  deepStrictEqual(
    messages,
    given.addresses.map((address) => [
      "network",
      `No response from ${address}: Failed to fetch (the service is unavailable, ` +
      `or its CORS_ORIGINS lacks ${site.otherOrigin})`,
    ]),
  );
  strictEqual((await sql`select id from lots where lot_code = ${lot_code}`).length, 0);
});

const ALLOWED = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *\r\n" +
  "Access-Control-Expose-Headers: *\r\n";

/** A server of another origin than the page; preflights are answered, the rest is left to `respond`. */
function startUpstream(respond: (socket: net.Socket, request: string) => void) {
  return startRawUpstream((socket, request) => {
    if (request.startsWith("OPTIONS ")) socket.write(rawResponse("204 No Content", "", ALLOWED));
    else respond(socket, request);
  });
}

Deno.test("a page sends a POST again, with the same key, when the response is lost", async () => {
  const posts: string[] = [];
  await using upstream = await startUpstream((socket, request) => {
    posts.push(`${/^idempotency-key: .*$/im.exec(request)} ${request.split("\r\n\r\n")[1]}`);
    if (posts.length === 1) socket.write(rawResponse("503 Service Unavailable", "", ALLOWED));
    else if (posts.length === 2) socket.destroy();
    else socket.write(rawResponse("201 Created", '{"lot_code":"A"}', ALLOWED));
  });
  await using opened = await openPage();
  const lotCode = await inPage(opened.page, async ({ createClient }, baseUrl) => {
    return (await createClient({ baseUrl }).createLot({ lot_code: "A" })).lot_code;
  }, upstream.url);
  strictEqual(lotCode, "A");
  match(posts[0] ?? "", /^idempotency-key: \S{32,}.* \{"lot_code":"A"\}$/i);
  ok(posts.length >= 3 && new Set(posts).size === 1, posts.join("\n"));
});

Deno.test("a page without TLS can send POSTs: they have keys there, too", async () => {
  await using opened = await openPage();
  await opened.page.route("http://plant.example/**", async (route) => {
    const response = await route.fetch({
      url: route.request().url().replace("http://plant.example", site.origin),
    });
    await route.fulfill({ response });
  });
  await opened.page.goto("http://plant.example/");
  const keys = await inPage(opened.page, async ({ createClient }, baseUrl) => {
    const keys: (string | null)[] = [];
    const fetch = (request: Request) => {
      keys.push(request.headers.get("idempotency-key"));
      return Promise.resolve(Response.json({ lot_code: "A" }, { status: 201 }));
    };
    const client = createClient({ baseUrl, fetch });
    await client.createLot({ lot_code: "A" });
    await client.createLot({ lot_code: "A" });
    return keys;
  }, legacy.url);
  strictEqual(await opened.page.evaluate("isSecureContext"), false);
  strictEqual(new Set(keys).size, 2);
  for (const key of keys) match(key ?? "", /^[0-9a-f]{32}$/);
});

Deno.test("lines arrive one by one, and the request ends when the loop is left or aborted", async () => {
  const ended: Promise<void>[] = [];
  await using upstream = await startUpstream((socket) => {
    ended.push(new Promise((resolve) => socket.once("close", () => resolve())));
    const head = { type: "trace", state: "done", result: { lot_count: 2, link_count: 0 } };
    const lines = [head, { type: "lot", lot_code: "A" }].map((line) => `${JSON.stringify(line)}\n`);
    // Its end never comes.
    const type = "Content-Type: application/x-ndjson\r\n";
    socket.write(`HTTP/1.1 200 OK\r\n${type}${ALLOWED}\r\n${lines.join("")}`);
  });
  await using opened = await openPage();
  const seen = await inPage(opened.page, async ({ createClient }, baseUrl) => {
    const client = createClient({ baseUrl });
    const seen: string[] = [];
    for await (const line of client.deepTraceLines("1")) {
      seen.push(line.type);
      if (line.type === "lot") break;
    }
    const controller = new AbortController();
    try {
      for await (const line of client.deepTraceLines("2", { signal: controller.signal })) {
        seen.push(line.type);
        if (line.type === "lot") setTimeout(() => controller.abort(new Error("enough")));
      }
    } catch (error) {
      seen.push(error instanceof Error ? error.message : "");
    }
    return seen;
  }, upstream.url);
  deepStrictEqual(seen, ["trace", "lot", "trace", "lot", "enough"]);
  strictEqual(ended.length, 2);
  await withDeadline("the requests end", Promise.all(ended));
});

Deno.test("the old front end's page works unchanged, from any origin", async () => {
  await using opened = await openPage(site.otherOrigin);
  const lot_code = newCode();
  // What it does, as far as is known: its own fetch, JSON both ways, `error` of a refused login.
  const seen = await inPage(opened.page, async (_, { url, lot_code }) => {
    const post = async (path: string, body: unknown) => {
      const response = await fetch(url + path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      return { ok: response.ok, json: await response.json() };
    };
    const refused = await post("/api/login", { email: "nobody@flowviz.com" });
    const { json: { user, token } } = await post("/api/login", { email: "admin@flowviz.com" });
    const stored = await post("/api/lots", { lot_code, weight_kg: 12.5, metadata: { shift: 1 } });
    const demo = await post("/api/lots", { lot_code: `${lot_code}-2`, phase_id: "3" });
    const decided = await post("/api/qc-decisions", { lot_id: stored.json.id, decision: "PASS" });
    const traced = await fetch(`${url}/api/traceability/${lot_code}`);
    const { central } = await traced.json();
    const health = await fetch(`${url}/api/health`);
    return {
      refused: [refused.ok, refused.json.error],
      login: [user.role, typeof token],
      posts: [stored.ok, demo.ok, decided.ok],
      central: [central.lot_code, central.weight_kg, central.metadata],
      health: health.ok,
    };
  }, { url: legacy.url, lot_code });
  deepStrictEqual(seen, {
    refused: [false, "User not found"],
    login: ["ADMIN", "string"],
    posts: [true, false, true],
    central: [lot_code, "12.5", { shift: 1 }],
    health: true,
  });
});
