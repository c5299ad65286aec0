import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { decodeJwt } from "jose";
import { hashPassword } from "../auth/password_work.ts";
import { connectValkey } from "../cache/valkey.ts";
import { DRY_RUN_HEADER } from "../contract/dry_run.ts";
import { startApi, type TestApi, type TestResponse } from "../testing/api.ts";
import { apiInBothModes } from "../testing/both_modes.ts";
import { postDry, SECRET } from "../testing/dry_run.ts";
import { dump, dumpChanges } from "../testing/dump.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { Session } from "../routes/login.ts";
import { insertAccount } from "../testing/accounts.ts";

/* A dry run returns the response of the real request, and has no effect. */

const { required, legacy, sql, maker, databaseUrl } = await apiInBothModes({
  DRY_RUN_SECRET: SECRET,
  LOGIN_MAX_FAILURES_PER_ACCOUNT: "2",
});

const PASSWORD = "correct horse battery";
const HASH = await hashPassword(PASSWORD, 4);

async function newAccount(role = "OPERATOR") {
  return { ...await insertAccount(sql, { role, hash: HASH }), role };
}

/** A response without its generated fields. */
function comparable({ status, headers, text }: TestResponse) {
  const kept = new Headers(headers);
  // "connection" concerns only the server and its client: closed, when a body was not read
  // completely.
  const others = ["x-request-id", "date", "etag", "connection"];
  for (const name of [DRY_RUN_HEADER, ...others]) kept.delete(name);
  const body = text.replaceAll(/"(id|created_at|decided_at|last_login)":"[^"]*"/g, '"$1":"…"')
    .replaceAll(/"token":"[\w-]+\.[\w-]+\.[\w-]+"/g, '"token":"…"');
  // A token's length depends on its purpose.
  if (body.includes("token")) kept.delete("content-length");
  return { status, headers: [...kept].sort(), body, etag: headers.get("etag")?.slice(0, 3) };
}

/**
 * Sends a request dry and then really: the response is the same, and only the second one stores
 * something.
 */
async function sameDry(
  api: TestApi,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<number> {
  const before = await dump(sql);
  const dry = await postDry(api, path, body, headers);
  deepStrictEqual(dumpChanges(before, await dump(sql)), { gone: [], added: [] });
  const real = await api.post(path, body, headers);
  deepStrictEqual(comparable(dry), comparable(real));
  strictEqual(dry.headers.get(DRY_RUN_HEADER), "done");
  strictEqual(real.headers.get(DRY_RUN_HEADER), null);
  return real.status;
}

const UNKNOWN = "dddddddd-0000-4000-8000-000000000000";
const WRITES: [path: string, body: unknown, status: number][] = [
  ["/api/lots", { lot_code: "W-1", weight_kg: "12.50", metadata: { a: [1.5] } }, 201],
  ["/api/lots", { lot_code: "W-1" }, 409],
  ["/api/lots?from=scale", { id: UNKNOWN.replace("d", "e"), lot_code: "W-2" }, 201],
  ["/API/Lots/", { lot_code: "W-3", created_at: "2026-01-19T10:11:12.345678Z" }, 201],
  ["/api/lots", { lot_code: "W-4", phase_id: UNKNOWN }, 409],
  ["/api/lots", { lot_code: "W-4", phase_id: "3" }, 422],
  ["/api/lots", { lot_code: "W-4", "select 1": 0 }, 422],
  ["/api/lots", "{", 400],
  ["/api/lots", { lot_code: "W-4", metadata: "x".repeat(102_400) }, 413],
  ["/api/qc-decisions", { decision: "PASS", notes: "é" }, 201],
  ["/api/qc-decisions", { decision: "FAIL", lot_id: UNKNOWN }, 409],
  ["/api/qc-decisions", {}, 422],
];

for (const [name, api] of [["legacy", legacy], ["required", required]] as const) {
  Deno.test(`AUTH_MODE=${name}: a dry write gets the response of the real one, and stores nothing`, async () => {
    const headers = { authorization: `Bearer ${maker.good(await newAccount("MANAGER"))}` };
    const own = (body: unknown) =>
      JSON.parse(
        JSON.stringify(body).replaceAll("W-", `W-${name}-`).replace("eddd", `e${name.length}dd`),
      );
    for (const [path, body, status] of WRITES) {
      const sent = typeof body === "string" ? body : own(body);
      strictEqual(
        await sameDry(api, path, sent, headers),
        status,
        JSON.stringify(body).slice(0, 90),
      );
    }
  });
}

Deno.test("AUTH_MODE=required: a role that may not write may not run dry either", async () => {
  const [viewer, operator] = [await newAccount("VIEWER"), await newAccount("OPERATOR")];
  const bearer = (of: typeof viewer) => ({ authorization: `Bearer ${maker.good(of)}` });
  const lot = { lot_code: "W-REFUSED" };
  strictEqual(await sameDry(required, "/api/lots", lot), 401);
  strictEqual(await sameDry(required, "/api/lots", lot, bearer(viewer)), 403);
  const another = { ...lot, operator_id: viewer.id };
  strictEqual(await sameDry(required, "/api/lots", another, bearer(operator)), 403);
});

Deno.test("a dry login gets the response of the real one, and stores nothing", async () => {
  const { email } = await newAccount();
  for (const api of [legacy, required]) {
    for (
      const body of [{ email, password: PASSWORD }, { email: "nobody@x.example" }, {}, "{", []]
    ) {
      await sameDry(api, "/api/login", body);
    }
    await sameDry(api, "/api/login", { email: "nobody@x.example", password: PASSWORD });
  }
});

Deno.test("AUTH_MODE=required: a dry login returns the current time and changes neither account, hash, counts nor log", async () => {
  const { id, email } = await newAccount();
  const headers = { authorization: `Bearer ${maker.good(await newAccount("ADMIN"))}` };
  const counted = async () => {
    const { text } = await required.get("/metrics", headers);
    return text.split("\n").filter((line) => line.startsWith("lotline_logins_total"));
  };
  const before = await counted();
  const began = Date.now();
  const response = await postDry(required, "/api/login", { email, password: PASSWORD });
  const { user } = Session.parse(response.json);
  ok(Date.parse(user.last_login ?? "") >= began - 1_000, `${user.last_login}`);
  const [stored] = await sql`
    select last_login, encrypted_password from users join auth.users secret using (id)
    where id = ${id}`;
  deepStrictEqual({ ...stored }, { last_login: null, encrypted_password: HASH });
  deepStrictEqual(await counted(), before);
  strictEqual(required.log.lines.some((line) => line.includes(id)), false);
});

Deno.test("the token of a dry login has the form of a real one, and opens nothing", async () => {
  const { email } = await newAccount("ADMIN");
  for (const [api, others] of [[legacy, required], [required, legacy]] as const) {
    const credentials = { email, password: PASSWORD };
    const dry = Session.parse((await postDry(api, "/api/login", credentials)).json);
    const real = Session.parse((await api.post("/api/login", credentials)).json);
    deepStrictEqual(Object.keys(decodeJwt(dry.token)), Object.keys(decodeJwt(real.token)));
    const headers = { authorization: `Bearer ${dry.token}` };
    strictEqual((await required.get("/api/traceability/MIX-BATCH-88", headers)).status, 401);
    for (const one of [api, others]) {
      strictEqual(
        (await one.post("/api/logout", "", headers)).status,
        one === required ? 401 : 204,
      );
    }
    const claims = decodeJwt(dry.token);
    deepStrictEqual([claims.aud, claims.exp], ["lotline-dry-run", claims.iat]);
  }
});

Deno.test("dry logins use up no tries, and are refused as real ones would be", async () => {
  const { email } = await newAccount();
  const [wrong, right] = [{ email, password: "wrong" }, { email, password: PASSWORD }];
  const dry = async (body: object) => (await postDry(required, "/api/login", body)).status;
  const real = async (body: object) => (await required.post("/api/login", body)).status;
  for (let i = 0; i < 3; i++) strictEqual(await dry(wrong), 401);
  strictEqual(await real(wrong), 401);
  // A successful one doesn't clear the count either.
  strictEqual(await dry(right), 200);
  strictEqual(await real(wrong), 401);
  const refused = await postDry(required, "/api/login", right);
  deepStrictEqual([refused.status, refused.headers.has("retry-after")], [429, true]);
  strictEqual(await real(right), 429);
});

Deno.test("a dry run that required would refuse is counted, since the real request doesn't come here", async () => {
  const counted = async () => {
    const { text } = await legacy.get("/metrics");
    return Number(
      /would_refuse_total\{operation="createLot",reason="no_token"\} (\d+)/.exec(text)?.[1],
    );
  };
  await legacy.post("/api/lots", { lot_code: "COUNTED" });
  const before = await counted();
  await postDry(legacy, "/api/lots", { lot_code: "COUNTED-2" });
  strictEqual(await counted(), before + 1);
});

Deno.test("a dry write invalidates nothing in the cache", async () => {
  await using valkey = await ownValkey();
  await using api = await startApi({
    databaseUrl,
    environment: { DRY_RUN_SECRET: SECRET, VALKEY_URL: valkey.server.url },
  });
  const link = connectValkey(valkey.server.url, () => {});
  await eventually("Valkey responds", () => link.isUsable());
  await eventually(
    "the API has claimed Valkey",
    async () => (await link.tryCommand((client) => client.exists("lotline:database"))) === 1,
  );
  const keys = async () => (await link.tryCommand((client) => client.keys("*")))?.sort();
  const before = await keys();
  strictEqual((await postDry(api, "/api/lots", { lot_code: "CACHED" })).status, 201);
  deepStrictEqual(await keys(), before);
  strictEqual((await api.post("/api/lots", { lot_code: "CACHED" })).status, 201);
  ok((await keys())?.length !== before?.length, "the real one has invalidated the cache");
  link.close();
});

Deno.test("2,000 concurrent dry writes leave the database unchanged byte for byte", async () => {
  const before = await dump(sql);
  const statuses = new Map<number, number>();
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < 2_000; i = next++) {
      const [path, body] = i % 2 === 0
        ? ["/api/lots", { lot_code: `MANY-${i % 50}`, weight_kg: "1.50" }]
        : ["/api/qc-decisions", { decision: "PASS", notes: `${i}` }];
      const { status } = await postDry(legacy, path, body);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  deepStrictEqual(dumpChanges(before, await dump(sql)), { gone: [], added: [] });
  deepStrictEqual([...statuses.keys()].filter((status) => status !== 503), [201]);
  ok((statuses.get(201) ?? 0) > 1_000, JSON.stringify([...statuses]));
});
