import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createClient } from "redis";
import { REQUIRED, startApi, type TestApi } from "../testing/api.ts";
import { apiWithoutDatabase } from "../testing/api_without_database.ts";
import { openLink } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { tokenMaker } from "../testing/tokens.ts";
import { taskOutput } from "../testing/task_output.ts";
import { insertAccount } from "../testing/accounts.ts";
import { delay } from "../timing.ts";

/*
 * A change that ends an account's tokens takes effect within seconds on every process, in any state
 * of Valkey, and nothing that ended becomes valid again.
 */

/** Two APIs with the same keys and database, and a Valkey that they reach over a link. */
async function startTwo() {
  const database = await freshDatabase();
  const valkey = await ownValkey();
  const link = await openLink(valkey.server.port);
  const environment = { ...REQUIRED, VALKEY_URL: `redis://127.0.0.1:${link.port}` };
  const one = await startApi({ databaseUrl: database.url, environment });
  const { keyFile } = one;
  const two = await startApi({ databaseUrl: database.url, keyFile, environment });
  const maker = await tokenMaker(keyFile);

  const newAccount = async () => {
    const { id } = await insertAccount(database.sql, { role: "ADMIN" });
    return { id, headers: { authorization: `Bearer ${maker.good({ id, role: "ADMIN" })}` } };
  };
  const user = async (words: string[], input = "") => {
    const env = { DATABASE_URL: database.url, VALKEY_URL: valkey.server.url };
    const { code, output, error } = await taskOutput(["user", ...words], env, input);
    strictEqual(code, 0, output + error);
  };
  return {
    apis: [one, two] as const,
    sql: database.sql,
    valkey: valkey.server,
    link,
    newAccount,
    user,
    startThird: () => startApi({ databaseUrl: database.url, keyFile, environment }),
    [Symbol.asyncDispose]: async () => {
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
      await valkey[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

type Headers = { authorization: string };

const statusAt = async (api: TestApi, headers: Headers) =>
  (await api.get("/metrics", headers)).status;

async function statuses(apis: readonly TestApi[], headers: Headers): Promise<number[]> {
  return await Promise.all(apis.map((api) => statusAt(api, headers)));
}

/** Waits until every process refuses it: seconds, where the token itself has half an hour. */
async function isRefusedEverywhere(apis: readonly TestApi[], headers: Headers): Promise<void> {
  await eventually("every process refuses the token", async () => {
    return (await statuses(apis, headers)).every((status) => status === 401);
  });
}

async function staysRefused(apis: readonly TestApi[], headers: Headers, ms: number) {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    deepStrictEqual(await statuses(apis, headers), apis.map(() => 401));
    await delay(50);
  }
}

Deno.test("a disabled account's tokens end on every process, others' don't, and enabling needs a new login", async () => {
  await using both = await startTwo();
  const [gone, stays] = [await both.newAccount(), await both.newAccount()];
  deepStrictEqual(await statuses(both.apis, gone.headers), [200, 200]);
  await both.user(["disable", gone.id]);
  await isRefusedEverywhere(both.apis, gone.headers);
  deepStrictEqual(await statuses(both.apis, stays.headers), [200, 200]);
  await both.user(["enable", gone.id]);
  await staysRefused(both.apis, gone.headers, 4_000);
});

Deno.test("a token that was logged out on one process is refused there immediately and everywhere soon", async () => {
  await using both = await startTwo();
  const { headers } = await both.newAccount();
  deepStrictEqual(await statuses(both.apis, headers), [200, 200]);
  const [one] = both.apis;
  strictEqual((await one.post("/api/logout", "", headers)).status, 204);
  strictEqual(await statusAt(one, headers), 401);
  await isRefusedEverywhere(both.apis, headers);
});

Deno.test("a changed role or password ends the account's tokens everywhere", async () => {
  await using both = await startTwo();
  const changes: ((id: string) => Promise<void>)[] = [
    (id) => both.user(["role", id, "VIEWER"]),
    (id) => both.user(["password", id], "correct horse battery"),
  ];
  for (const change of changes) {
    const { id, headers } = await both.newAccount();
    deepStrictEqual(await statuses(both.apis, headers), [200, 200]);
    await change(id);
    await isRefusedEverywhere(both.apis, headers);
  }
});

Deno.test("an account that SQL deletes, disables or changes the role of loses its tokens everywhere, with Valkey or not", async () => {
  await using both = await startTwo();
  const { sql } = both;
  const changes: ((id: string) => Promise<unknown>)[] = [
    async (id) => {
      await sql`delete from users where id = ${id}`;
      await sql`delete from auth.users where id = ${id}`;
    },
    async (id) => await sql`update users set role = 'MANAGER' where id = ${id}`,
    async (id) => await sql`update users set role = null where id = ${id}`,
    async (id) =>
      await sql`insert into lotline.accounts (user_id, disabled_at) values (${id}, now())`,
  ];
  const stays = await both.newAccount();
  for (const isValkeyThere of [true, false]) {
    if (!isValkeyThere) await both.valkey.kill();
    const accounts = await Promise.all(changes.map(both.newAccount));
    for (const { headers } of accounts) {
      deepStrictEqual(await statuses(both.apis, headers), [200, 200]);
    }
    await Promise.all(changes.map((change, i) => change(accounts[i]?.id ?? "")));
    for (const { headers } of accounts) await isRefusedEverywhere(both.apis, headers);
  }
  deepStrictEqual(await statuses(both.apis, stays.headers), [200, 200]);
});

Deno.test("a deleted account's tokens end on every process when its id is disabled", async () => {
  await using both = await startTwo();
  const { id, headers } = await both.newAccount();
  deepStrictEqual(await statuses(both.apis, headers), [200, 200]);
  await both.sql`delete from users where id = ${id}`;
  await both.user(["disable", id.toUpperCase()]);
  await isRefusedEverywhere(both.apis, headers);
});

Deno.test("FLUSHALL restores no disabled account and no logged out token, and announcements continue", async () => {
  await using both = await startTwo();
  const [disabled, loggedOut, later] = [
    await both.newAccount(),
    await both.newAccount(),
    await both.newAccount(),
  ];
  await both.user(["disable", disabled.id]);
  await both.apis[0].post("/api/logout", "", loggedOut.headers);
  await isRefusedEverywhere(both.apis, disabled.headers);
  await isRefusedEverywhere(both.apis, loggedOut.headers);
  await flush(both.valkey.url);
  await staysRefused(both.apis, disabled.headers, 4_000);
  await staysRefused(both.apis, loggedOut.headers, 100);
  await both.user(["disable", later.id]);
  await isRefusedEverywhere(both.apis, later.headers);
});

Deno.test("without Valkey a disabled account and a logged out token are refused everywhere as well", async () => {
  await using both = await startTwo();
  const [disabled, loggedOut, before] = [
    await both.newAccount(),
    await both.newAccount(),
    await both.newAccount(),
  ];
  await both.user(["disable", before.id]);
  await isRefusedEverywhere(both.apis, before.headers);
  await both.valkey.kill();
  await both.user(["disable", disabled.id]);
  await both.apis[1].post("/api/logout", "", loggedOut.headers);
  await isRefusedEverywhere(both.apis, disabled.headers);
  await isRefusedEverywhere(both.apis, loggedOut.headers);
  await staysRefused(both.apis, before.headers, 100);

  await both.valkey.start();
  await staysRefused(both.apis, disabled.headers, 2_000);
  const { id, headers } = await both.newAccount();
  await both.user(["disable", id]);
  await isRefusedEverywhere(both.apis, headers);
});

Deno.test("with Valkey as a black hole a disabled account is refused, and no request waits", async () => {
  await using both = await startTwo();
  const [disabled, stays] = [await both.newAccount(), await both.newAccount()];
  deepStrictEqual(await statuses(both.apis, stays.headers), [200, 200]);
  both.link.swallow();
  await both.user(["disable", disabled.id]);
  await isRefusedEverywhere(both.apis, disabled.headers);
  deepStrictEqual(await statuses(both.apis, stays.headers), [200, 200]);
});

Deno.test("a process that starts later refuses earlier ended tokens from its first request on", async () => {
  await using both = await startTwo();
  const [disabled, loggedOut] = [await both.newAccount(), await both.newAccount()];
  await both.user(["disable", disabled.id]);
  await both.apis[0].post("/api/logout", "", loggedOut.headers);
  await both.valkey.kill();
  await using third = await both.startThird();
  strictEqual(await statusAt(third, disabled.headers), 401);
  strictEqual(await statusAt(third, loggedOut.headers), 401);
  strictEqual(await statusAt(third, (await both.newAccount()).headers), 200);
});

const withoutDatabase = await apiWithoutDatabase(REQUIRED);

Deno.test("while revocations are unknown no token is accepted: 503, and public routes keep working", async () => {
  const maker = await tokenMaker(withoutDatabase.keyFile);
  const subject = { id: crypto.randomUUID(), role: "ADMIN" };
  const token = (text: string) => ({ authorization: `Bearer ${text}` });
  const response = await withoutDatabase.get("/metrics", token(maker.good(subject)));
  deepStrictEqual([response.status, response.json], [503, {
    error: "Tokens can't be checked right now, try again shortly",
  }]);
  ok(response.headers.has("retry-after"));
  strictEqual(await statusAt(withoutDatabase, token(maker.faulty("expired", subject))), 401);
  strictEqual((await withoutDatabase.get("/api/health")).status, 200);
});

async function flush(url: string): Promise<void> {
  const client = await createClient({ url }).connect();
  await client.flushAll();
  client.destroy();
}
