import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import net from "node:net";
import { hashPassword } from "../auth/password_work.ts";
import { buildPlant } from "../testing/audited_plant.ts";
import { apiInBothModes } from "../testing/both_modes.ts";
import { type GivenLink, insertLinks, insertLots } from "../testing/genealogy.ts";
import { startRawUpstream } from "../testing/raw_upstream.ts";
import { startWorker } from "../testing/worker.ts";
import { type ClientOptions, createClient, type DeepTraceLine } from "./client.ts";
import { LotlineError } from "./errors.ts";

/* The client with the service itself; send_test.ts and lines_test.ts have what can go wrong between. */

const { legacy, required, sql, databaseUrl, maker } = await apiInBothModes();

const PASSWORD = "correct horse battery";
const HASH = await hashPassword(PASSWORD, 4);

/** A new account, as a login, and with a token that is as good as that of one. */
async function newAccount(role: "ADMIN" | "VIEWER" = "ADMIN") {
  const id = crypto.randomUUID();
  const email = `${id}@example.com`;
  await sql`insert into auth.users (id, encrypted_password) values (${id}, ${HASH})`;
  await sql`insert into users (id, email, role) values (${id}, ${email}, ${role})`;
  const login = { email, password: PASSWORD };
  return { id, login, token: maker.good({ id, role }) };
}

/** A client of the API in `required` that notes the path of everything it sends. */
function watched(options: Partial<ClientOptions> = {}) {
  const paths: string[] = [];
  const client = createClient({
    baseUrl: required.url,
    fetch: (request) => {
      paths.push(new URL(request.url).pathname);
      return fetch(request);
    },
    ...options,
  });
  const logins = () => paths.filter((path) => path === "/api/login").length;
  return { client, paths, logins };
}

const open = createClient({ baseUrl: legacy.url });
const newCode = () => `CLIENT-${crypto.randomUUID()}`;

Deno.test("the operations of lots respond as the contract says, in both modes", async () => {
  const { login, id } = await newAccount();
  for (const client of [open, createClient({ baseUrl: required.url, login })]) {
    strictEqual((await client.getHealth()).status, "ok");
    const lot_code = newCode();
    const weight_kg = "12345678901234567890.1250";
    const lot = await client.createLot({ lot_code, lot_type: "RAW", weight_kg });
    deepStrictEqual([lot.lot_code, lot.weight_kg], [lot_code, weight_kg]);
    strictEqual(lot.operator_id, client === open ? null : id);
    const { temperature_c } = await client.createQcDecision({
      lot_id: lot.id,
      decision: "PASS",
      temperature_c: "3.50",
    });
    strictEqual(temperature_c, "3.50");
    const trace = await client.getTraceability(lot_code);
    deepStrictEqual([trace.central.weight_kg, trace.parents, trace.children], [weight_kg, [], []]);
  }
});

Deno.test("a refusal is an error with its kind, the service's sentence and the request's id", async () => {
  const lot = await open.createLot({ lot_code: newCode() });
  const calls: [call: () => Promise<unknown>, kind: string, status: number, message: RegExp][] = [
    [() => open.getTraceability("NO-SUCH-LOT"), "not_found", 404, /^Lot not found$/],
    [() => open.createLot({ lot_code: lot.lot_code }), "conflict", 409, /taken/],
    [() => open.createLot({ lot_code: "" }), "outside_contract", 422, /lot_code/],
    [() => open.listAudits({ limit: 101 }), "outside_contract", 422, /limit/],
    [() => open.getDeepTrace(lot.id), "not_found", 404, /no such trace/],
  ];
  for (const [call, kind, status, message] of calls) {
    const error = await call().catch((error) => error);
    ok(error instanceof LotlineError);
    deepStrictEqual([error.kind, error.status], [kind, status]);
    match(error.message, message);
    const { requestId = "none" } = error;
    await legacy.log.find((line) => line.includes(requestId));
    if (status === 422) match(error.details[0]?.path ?? "", /^(lot_code|limit)$/);
  }
});

Deno.test("a client logs in when it first needs to, once for all that it is asked at a time", async () => {
  const { client, paths, logins } = watched({ login: (await newAccount()).login });
  await client.getHealth();
  deepStrictEqual(paths, ["/api/health"]);
  await Promise.all([client.listAudits(), client.listAudits(), client.listAudits()]);
  await client.listAudits();
  deepStrictEqual([logins(), paths.length], [1, 6]);
});

Deno.test("a token that was ended elsewhere is replaced, and the request done", async () => {
  const { login, token } = await newAccount();
  await createClient({ baseUrl: required.url, token }).logout();
  const { client, logins } = watched({ login, token });
  await Promise.all([client.listAudits(), client.createLot({ lot_code: newCode() })]);
  strictEqual(logins(), 1);
});

Deno.test("a token alone is used while it is good, and nothing else is tried", async () => {
  const { token } = await newAccount();
  const { client, paths } = watched({ token });
  await client.listAudits();
  await client.logout();
  await rejects(client.listAudits(), { kind: "unauthorized", status: 401 });
  const ended = watched({ token });
  await rejects(ended.client.listAudits(), { kind: "unauthorized" });
  // It is what a logout is for.
  await ended.client.logout();
  deepStrictEqual(paths, ["/api/audits", "/api/logout", "/api/audits"]);
  deepStrictEqual(ended.paths, ["/api/audits", "/api/logout"]);
});

Deno.test("a login by hand is kept; a logout ends its token, and nothing logs in after it", async () => {
  const { login } = await newAccount();
  const { client, paths } = watched();
  await client.logout();
  const { token, user } = await client.login(login);
  strictEqual(user.email, login.email);
  await client.listAudits();
  await client.logout();
  await client.logout();
  await rejects(client.listAudits(), { kind: "unauthorized" });
  deepStrictEqual(paths, ["/api/login", "/api/audits", "/api/logout", "/api/audits"]);
  const late = createClient({ baseUrl: required.url, token });
  await rejects(late.listAudits(), { kind: "unauthorized" });
});

Deno.test("a wrong password and a role that may not are told as what they are", async () => {
  const { login: { email } } = await newAccount();
  const { client, logins } = watched({ login: { email, password: "wrong" } });
  for (let tries = 0; tries < 3; tries++) {
    await rejects(client.listAudits(), {
      kind: "unauthorized",
      message: "Wrong email or password",
    });
  }
  strictEqual(logins(), 1);
  const { token } = await newAccount("VIEWER");
  const viewer = createClient({ baseUrl: required.url, token });
  await rejects(viewer.createLot({ lot_code: newCode() }), { kind: "forbidden" });
});

async function star(children: number): Promise<string> {
  const code = newCode();
  const lots = Array.from({ length: children + 1 }, (_, at) => ({ lot_code: `${code}-${at}` }));
  const [parent = null, ...others] = await insertLots(sql, lots);
  await insertLinks(sql, others.map((child): GivenLink => [parent, child]));
  return `${code}-0`;
}

Deno.test("a deep trace comes as pages and as lines, all of it and each part once", async () => {
  const lot_code = await star(40);
  const { id } = await open.createDeepTrace({ lot_code, direction: "downstream" });
  const { result } = await open.waitForDeepTrace(id);
  deepStrictEqual([result.lots.length, result.links.length, result.next_cursor], [41, 40, null]);

  const paged: unknown[] = [];
  let pages = 0;
  for await (const { result } of open.deepTracePages(id, { limit: 7 })) {
    pages++;
    paged.push(...result.lots, ...result.links);
  }
  deepStrictEqual([pages, paged], [12, [...result.lots, ...result.links]]);
  const second = (await open.getDeepTrace(id, { limit: 7 })).result?.next_cursor ?? "";
  const from = await Array.fromAsync(open.deepTracePages(id, { limit: 80, cursor: second }));
  strictEqual(from[0]?.result.lots[0]?.lot_code, result.lots[7]?.lot_code);

  const [head, ...lines] = await Array.fromAsync(open.deepTraceLines(id));
  ok(head?.type === "trace");
  deepStrictEqual([head.lot_code, head.result.lot_count], [lot_code, 41]);
  deepStrictEqual(
    lines.map(({ type, ...line }: DeepTraceLine) => [type, line]),
    [...result.lots.map((lot) => ["lot", lot]), ...result.links.map((link) => ["link", link])],
  );
});

Deno.test("what has no result yet, or never will, is an error and not an empty one", async () => {
  const { id } = await open.createDeepTrace({ lot_code: await star(1), direction: "both" });
  await sql`update lotline.traces set run = null, summary = null where id = ${id}`;
  const [job] = await sql`
    insert into lotline.jobs (kind, arguments) values ('deep_trace', '{}') returning id`;
  await sql`update lotline.traces set job_id = ${job?.id ?? null} where id = ${id}`;
  const all = [
    () => Array.fromAsync(open.deepTracePages(id)),
    () => Array.fromAsync(open.deepTraceLines(id)),
  ];
  for (const read of all) await rejects(read(), { kind: "not_done", message: /it is queued$/ });
  await rejects(open.waitForDeepTrace(id, { patienceMs: 300 }), { kind: "timeout" });
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 200);
  await rejects(open.waitForDeepTrace(id, { signal: controller.signal }), reason);
  await sql`update lotline.jobs set state = 'dead' where id = ${job?.id ?? null}`;
  await rejects(open.waitForDeepTrace(id), { kind: "not_done", message: /it is failed$/ });
  await sql`delete from lotline.jobs where id = ${job?.id ?? null}`;
});

Deno.test("an audit is waited for, and its findings and those before it are read to the end", async () => {
  const weights = ["-1", "-2", "-3", "-4", "-5", null, null];
  await buildPlant(sql, {
    lots: Object.fromEntries(weights.map((kg, at) => [`ODD-${at}`, { kg }])),
  });
  const { id, state } = await open.createAudit();
  strictEqual(state, "queued");
  await rejects(Array.fromAsync(open.auditFindings(id)), { kind: "not_done" });
  await using _worker = await startWorker({ databaseUrl });
  const { summary, findings } = await open.waitForAudit(id);
  deepStrictEqual([summary?.lots, findings.length], [7, 7]);
  deepStrictEqual(await Array.fromAsync(open.auditFindings(id, { limit: 2 })), findings);
  const kind = "negative_weight";
  const negative = await Array.fromAsync(open.auditFindings(id, { kind, limit: 2 }));
  deepStrictEqual(negative, findings.filter((finding) => finding.kind === kind));
  strictEqual(negative.length, 5);

  const { id: next } = await open.createAudit();
  await open.waitForAudit(next);
  const audits = await Array.fromAsync(open.audits({ limit: 1 }));
  deepStrictEqual(audits.map(({ id }) => id), [next, id]);
});

Deno.test("the raw client has the same token, and errors as values", async () => {
  const { token } = await newAccount();
  const { api } = createClient({ baseUrl: required.url, token });
  const { data, error, response } = await api.GET("/api/traceability/{lotCode}", {
    params: { path: { lotCode: "NO-SUCH-LOT" } },
  });
  deepStrictEqual([data, error, response.status], [undefined, { error: "Lot not found" }, 404]);
});

Deno.test("a lot whose response was lost on the way is stored once, and the client has it", async () => {
  await using way = await startRawUpstream((socket, request, count) => {
    const onward = net.connect(Number(new URL(legacy.url).port), "127.0.0.1");
    onward.write(request, "latin1");
    // The first response comes as far as here.
    if (count === 1) onward.once("data", () => [socket, onward].forEach((one) => one.destroy()));
    else onward.pipe(socket);
  });
  const lot_code = newCode();
  const lot = await createClient({ baseUrl: way.url }).createLot({ lot_code });
  const stored = await sql`select id from lots where lot_code = ${lot_code}`;
  deepStrictEqual([...stored], [{ id: lot.id }]);
  strictEqual(way.requests.length, 2);
});
