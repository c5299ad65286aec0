import { ok, strictEqual } from "node:assert/strict";
import { REQUIRED, startApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { costOf, hashPassword } from "./password_work.ts";

const PAGE = new URL("../docs/security.md", import.meta.url);
const PASSWORD = "correct horse battery";

Deno.test("the rights that docs/security.md names are enough for all that the API does", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const id = crypto.randomUUID();
  const email = "operator@plant.example";
  await sql`insert into auth.users (id, encrypted_password)
    values (${id}, ${await hashPassword(PASSWORD, 4)})`;
  await sql`insert into users (id, email, role) values (${id}, ${email}, 'OPERATOR')`;

  // Roles belong to the whole server, which other tests use as well.
  const role = `lotline_api_${crypto.randomUUID().slice(0, 8)}`;
  const [, grants = ""] = /## The database's rights[^]*?```sql\n([^]*?)```/.exec(
    await Deno.readTextFile(PAGE),
  ) ?? [];
  ok(grants.includes("lotline_api"));
  await sql.unsafe(grants.replaceAll("lotline_api", role)).simple();
  try {
    const url = Object.assign(new URL(database.url), { username: role, password: "change me" });
    await using api = await startApi({ databaseUrl: url.href, environment: REQUIRED });
    const login = await api.post("/api/login", { email, password: PASSWORD });
    strictEqual(login.status, 200, login.text);
    const [secret] = await sql<{ hash: string }[]>`
      select encrypted_password as hash from auth.users where id = ${id}`;
    strictEqual(costOf(secret?.hash ?? null), 12, "the hash is made anew");
    const headers = { authorization: `Bearer ${login.json.token}` };
    const lot = await api.post("/api/lots", { lot_code: "RIGHTS-1" }, headers);
    strictEqual(lot.status, 201, lot.text);
    const decision = { lot_id: lot.json.id, decision: "PASS" };
    strictEqual((await api.post("/api/qc-decisions", decision, headers)).status, 201);
    strictEqual((await api.get("/api/traceability/RIGHTS-1", headers)).status, 200);
    strictEqual((await api.get("/readyz")).status, 200);
    strictEqual((await api.post("/api/logout", "", headers)).status, 204);
    strictEqual((await api.get("/api/traceability/RIGHTS-1", headers)).status, 401);
    for (const line of api.log.lines) ok(!/"level":"(warn|error)"/.test(line), line);
  } finally {
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`).simple();
  }
});
