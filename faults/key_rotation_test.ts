import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { hashPassword } from "../auth/password_work.ts";
import { REQUIRED, startApi, type TestApi } from "../testing/api.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { eventually } from "../testing/eventually.ts";
import { taskOutput } from "../testing/task_output.ts";
import { insertAccount } from "../testing/accounts.ts";

const PASSWORD = "correct horse battery";
const ROTATIONS = 6;
const WORKERS = 6;

const { api: one, sql, databaseUrl } = await apiOnSeed(REQUIRED);
const { keyFile } = one;
const two = await startApi({ databaseUrl, keyFile, environment: REQUIRED });
Deno.test.afterAll(async () => await two[Symbol.asyncDispose]());

const EMAILS = Array.from({ length: WORKERS }, (_, i) => `rotation-${i}@example.com`);
const hash = await hashPassword(PASSWORD);
for (const email of EMAILS) await insertAccount(sql, { email, role: "ADMIN", hash });

async function keys(...words: string[]): Promise<void> {
  const { code, error } = await taskOutput(["keys", ...words], { JWT_KEYS_FILE: keyFile });
  strictEqual(code, 0, error);
}

async function publishedKeys(api: TestApi): Promise<number> {
  return (await api.get("/.well-known/jwks.json")).json.keys.length;
}

async function login(api: TestApi, email: string) {
  const { status, json } = await api.post("/api/login", { email, password: PASSWORD });
  strictEqual(status, 200);
  const token: string = json.token;
  const { kid } = JSON.parse(atob(token.split(".")[0] ?? ""));
  return { kid, headers: { authorization: `Bearer ${token}` } };
}

Deno.test("keys are rotated and pruned under load on two processes: no request fails", async () => {
  let isOver = false;
  let requests = 0;
  const kids = new Set<string>();
  const failed: string[] = [];
  const worker = async (email: string, index: number) => {
    const send = async (api: TestApi, headers: HeadersInit, what: string) => {
      const { status, text } = await api.get("/metrics", headers);
      requests++;
      if (status !== 200) failed.push(`${what}: ${status} ${text}`);
    };
    const first = await login(one, email);
    for (let round = index; !isOver; round++) {
      const [here, there] = round % 2 === 0 ? [one, two] : [two, one];
      const session = await login(here, email);
      kids.add(session.kid);
      // The other process may not know the key yet when the token arrives.
      await send(there, session.headers, "a new token at the other process");
      for (let i = 0; i < 10; i++) {
        await send(i % 2 === 0 ? here : there, session.headers, "a token");
        await send(i % 2 === 0 ? here : there, first.headers, "the first token");
      }
    }
  };
  const working = Promise.all(EMAILS.map(worker));
  try {
    for (let rotation = 0; rotation < ROTATIONS; rotation++) {
      await eventually("the load has met the key", () => kids.size > rotation, { seconds: 60 });
      await keys("rotate");
      await keys("prune");
    }
    await eventually("the load has met the last key", () => kids.size > ROTATIONS, { seconds: 60 });
  } finally {
    isOver = true;
    await working;
  }

  deepStrictEqual(failed, []);
  ok(kids.size > ROTATIONS / 2, `the load saw ${kids.size} signing keys`);
  ok(requests > 100, `${requests} requests`);
  // Tokens of all these keys may still be valid: prune has removed none.
  deepStrictEqual(
    [await publishedKeys(one), await publishedKeys(two)],
    [ROTATIONS + 1, ROTATIONS + 1],
  );
});

Deno.test("prune --now ends the tokens of a stolen key on both processes, and new logins work", async () => {
  const [email = ""] = EMAILS;
  const stolen = await login(one, email);
  await keys("rotate");
  await keys("prune", "--now");
  for (const api of [one, two]) {
    await eventually("one key is left", async () => await publishedKeys(api) === 1);
    strictEqual((await api.get("/metrics", stolen.headers)).status, 401);
  }
  const { headers } = await login(two, email);
  strictEqual((await one.get("/metrics", headers)).status, 200);
});
