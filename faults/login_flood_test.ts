import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { hashPassword } from "../auth/password_work.ts";
import { REQUIRED } from "../testing/api.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { apiWithoutDatabase } from "../testing/api_without_database.ts";

// Runs alone: the flood uses every processor.

/*
 * More concurrent logins than can be hashed. The test counts refusals; it doesn't measure the delay
 * of other routes.
 */

const FLOOD = 300;
const PASSWORD = "correct horse battery";

const { api, sql } = await apiOnSeed({
  ...REQUIRED,
  // The whole flood comes from here: if refused tries counted, the last login would be refused.
  LOGIN_MAX_FAILURES_PER_ADDRESS: String(FLOOD - 50),
  METRICS_TOKEN: "0123456789abcdef",
});
const email = "admin@flowviz.com";
const login = (body: object) => api.post("/api/login", body);

Deno.test("of a flood of logins most are 429 without counting as tries, and the others succeed", async () => {
  const hash = await hashPassword(PASSWORD, 4);
  await sql`update auth.users set encrypted_password = ${hash}
    where id = (select id from users where email = ${email})`;
  const flood = Array.from(
    { length: FLOOD },
    (_, i) => login({ email: `flood-${i}@example.com`, password: PASSWORD }),
  );
  strictEqual((await api.get("/api/health")).status, 200);

  const responses = await Promise.all(flood);
  const refused = responses.filter(({ status }) => status === 429);
  ok(refused.length > FLOOD / 3, `${refused.length} were refused`);
  for (const { headers, json } of refused) {
    deepStrictEqual(json, { error: "Too many logins at once, try again in a moment" });
    match(headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  }
  const others = responses.filter(({ status }) => status !== 429).map(({ status }) => status);
  deepStrictEqual([...new Set(others)], [401]);

  strictEqual((await login({ email, password: PASSWORD })).status, 200);
  const { text } = await api.get("/metrics", { authorization: "Bearer 0123456789abcdef" });
  const counted = /^lotline_logins_total\{outcome="queue_full"\} (\d+)$/m.exec(text)?.[1];
  strictEqual(Number(counted), refused.length);
});

const away = await apiWithoutDatabase({ ...REQUIRED, LOGIN_MAX_FAILURES_PER_ACCOUNT: "2" });

Deno.test("a login that fails by our fault isn't counted: repeatedly 503, never 429", async () => {
  for (let i = 0; i < 4; i++) {
    const response = await away.post("/api/login", { email, password: PASSWORD });
    strictEqual(response.status, 503);
    ok(response.headers.has("retry-after"));
  }
});
