import { ok, strictEqual } from "node:assert/strict";
import { REQUIRED, startApi } from "../testing/api.ts";
import { applyGrants } from "../db/grants.ts";
import { API_RIGHTS, WORKER_RIGHTS } from "../db/rights.ts";
import type { Sql } from "../db/sql.ts";
import { freshDatabase } from "../testing/database.ts";
import { postDry, SECRET } from "../testing/dry_run.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { startWorker } from "../testing/worker.ts";
import { costOf, hashPassword } from "./password_work.ts";

const PASSWORD = "correct horse battery";

Deno.test("the rights of deno task grants are enough for everything that the API and the worker do", async () => {
  await using database = await freshDatabase();
  await using valkey = await ownValkey();
  const { sql } = database;
  const id = crypto.randomUUID();
  const email = "manager@plant.example";
  await sql`insert into auth.users (id, encrypted_password)
    values (${id}, ${await hashPassword(PASSWORD, 4)})`;
  await sql`insert into users (id, email, role) values (${id}, ${email}, 'MANAGER')`;

  // Roles belong to the whole server, which other tests use too.
  const suffix = crypto.randomUUID().slice(0, 8);
  const [apiRole, workerRole] = [`lotline_api_${suffix}`, `lotline_worker_${suffix}`];
  await applyGrants(database.url, [
    { name: apiRole, owner: "the API", rights: API_RIGHTS },
    { name: workerRole, owner: "the worker", rights: WORKER_RIGHTS },
  ]);
  try {
    const addressFor = (username: string) =>
      Object.assign(new URL(database.url), { username }).href;
    const environment = { VALKEY_URL: valkey.server.url, DRY_RUN_SECRET: SECRET };
    await using api = await startApi({
      databaseUrl: addressFor(apiRole),
      environment: { ...REQUIRED, ...environment },
    });
    await using worker = await startWorker({ databaseUrl: addressFor(workerRole), environment });
    const login = await api.post("/api/login", { email, password: PASSWORD });
    strictEqual(login.status, 200, login.text);
    const [secret] = await sql<{ hash: string }[]>`
      select encrypted_password as hash from auth.users where id = ${id}`;
    strictEqual(costOf(secret?.hash ?? null), 12, "the hash is computed again");
    const headers = { authorization: `Bearer ${login.json.token}` };
    const postTwice = async (path: string, body: unknown) => {
      const keyed = { ...headers, "idempotency-key": path };
      const [first, again] = [
        await api.post(path, body, keyed),
        await api.post(path, body, keyed),
      ];
      strictEqual(again.headers.get("idempotency-replayed"), "true", again.text);
      return first;
    };
    const dry = await postDry(api, "/api/lots", { lot_code: "RIGHTS-1" }, headers);
    strictEqual(dry.status, 201, dry.text);
    const dryLogin = await postDry(api, "/api/login", { email, password: PASSWORD });
    strictEqual(dryLogin.status, 200, dryLogin.text);
    const lot = await postTwice("/api/lots", { lot_code: "RIGHTS-1" });
    strictEqual(lot.status, 201, lot.text);
    const decision = { lot_id: lot.json.id, decision: "PASS" };
    strictEqual((await postTwice("/api/qc-decisions", decision)).status, 201);
    strictEqual((await api.get("/api/traceability/RIGHTS-1", headers)).status, 200);
    strictEqual((await api.get("/readyz")).status, 200);

    const requested = { lot_code: "RIGHTS-1", direction: "both" };
    const trace = await postTwice("/api/traces", requested);
    strictEqual(trace.status, 200, api.log.lines.join("\n"));
    strictEqual((await api.get(`/api/traces/${trace.json.id}`, headers)).status, 200);
    const { json: audit } = await postTwice("/api/audits", {});
    await eventually("the audit is done", async () => {
      const { json } = await api.get(`/api/audits/${audit.id}`, headers);
      strictEqual(json.state === "failed", false);
      return json.state === "done";
    });
    strictEqual((await api.get("/api/audits", headers)).json.audits.length > 0, true);
    await insertDeepTrace(sql, trace.json.id);
    await sql`insert into lotline.jobs (kind, arguments) values ('upkeep', '{}')`;
    await sql`update lots set weight_kg = 1`;
    await eventually("the trace is marked", async () => {
      const { json } = await api.get(`/api/traces/${trace.json.id}`, headers);
      return json.out_of_date;
    });
    await eventually(
      "every requested operation is done",
      async () => (await sql`select from lotline.jobs where state <> 'done'`).length === 0,
    );

    const { text } = await api.get("/metrics", headers);
    for (const what of ["jobs", "changes"]) {
      ok(text.includes(`lotline_work_readable{what="${what}"} 1\n`), text);
    }

    strictEqual((await postTwice("/api/logout", "")).status, 204);
    strictEqual((await api.get("/api/traceability/RIGHTS-1", headers)).status, 401);
    for (const line of [...api.log.lines, ...worker.log.lines]) {
      // A busy machine may exceed the statement timeout, which has nothing to do with rights.
      const isBusy = line.includes('"event":"valkey_down"');
      ok(isBusy || !/"level":"(warn|error)"/.test(line), line);
    }
  } finally {
    await sql.unsafe(`drop owned by ${apiRole}, ${workerRole}; drop role ${apiRole}, ${workerRole}`)
      .simple();
  }
});

/** The worker's trace equals one that a request runs itself. */
async function insertDeepTrace(sql: Sql, like: string): Promise<void> {
  await sql`
    with trace as (
      insert into lotline.traces (job_id, lot_id, lot_code, direction, at_most)
      select gen_random_uuid(), lot_id, lot_code, direction, at_most
      from lotline.traces where id = ${like}
      returning id, job_id
    )
    insert into lotline.jobs (id, kind, arguments)
    select job_id, 'deep_trace', jsonb_build_object('traceId', id) from trace`;
}
