import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { openLinkTo } from "../testing/black_hole.ts";
import { makeAuthority } from "../testing/certificates.ts";
import { eventually } from "../testing/eventually.ts";
import { tlsPostgres } from "../testing/postgres_servers.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { delay } from "../timing.ts";
import { connect } from "./connect.ts";
import { queryWithDeadline } from "./query_deadline.ts";
import { openSession } from "./session.ts";
import { watchSilence } from "./silence.ts";

const folder = await temporaryFolder();
Deno.test.afterAll(async () => await folder[Symbol.asyncDispose]());
const authority = await makeAuthority(folder.path);
const postgres = await tlsPostgres(await authority.issue({ names: ["IP:127.0.0.1"] }));
Deno.test.afterAll(() => postgres[Symbol.asyncDispose]());

/** Shorter than in production, for the test's sake. */
const STATEMENT_TIMEOUT_MS = 500;

for (const sslmode of ["disable", "require"]) {
  Deno.test(`with sslmode=${sslmode} ten connections whose bytes are lost are replaced`, async () => {
    await using link = await openLinkTo(postgres.address({ query: `sslmode=${sslmode}` }));
    const sql = connect({ url: link.url, max: 10, statementTimeoutMs: STATEMENT_TIMEOUT_MS });
    try {
      const isEncrypted = await Promise.all(
        Array.from({ length: 10 }, async () => {
          const [row] = await sql`
            select ssl, pg_sleep(0.1) from pg_stat_ssl where pid = pg_backend_pid()`;
          return row?.ssl;
        }),
      );
      deepStrictEqual(new Set(isEncrypted), new Set([sslmode === "require"]));
      link.swallow();
      const lost = Array.from(
        { length: 10 },
        () => rejects(sql`select 1`, { code: "LINK_FAILED" }),
      );
      await Promise.all(lost);
      link.heal();
      // One statement after the other: all ten places must be usable again.
      for (let n = 0; n < 20; n++) {
        strictEqual((await queryWithDeadline(sql, sql`select 1`)).length, 1);
      }
      const all = Array.from({ length: 10 }, () => sql`select pg_sleep(0.05)`);
      strictEqual((await Promise.all(all)).length, 10);
    } finally {
      await sql.end({ timeout: 1 });
    }
  });

  Deno.test(`with sslmode=${sslmode} a session ends when its statement's bytes are lost`, async () => {
    await using link = await openLinkTo(postgres.address({ query: `sslmode=${sslmode}` }));
    let ends = 0;
    await using session = openSession(link.url, {
      name: "lotline-test",
      statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      onEnd: () => ends++,
    });
    await session.sql`select 1`;
    link.swallow();
    // An idle connection may stay: nothing is expected of it.
    await delay(STATEMENT_TIMEOUT_MS + 1_200);
    strictEqual(session.isUsable, true);
    await rejects(session.sql`select 1`, { code: "LINK_FAILED" });
    await eventually("the session has ended", () => ends > 0);
    deepStrictEqual([session.isUsable, ends], [false, 1]);
    await rejects(session.sql`select 1`);
  });

  Deno.test(`with sslmode=${sslmode} a network that is lost during the startup ends the attempt`, async () => {
    await using link = await openLinkTo(postgres.address({ query: `sslmode=${sslmode}` }));
    link.swallow();
    const sql = connect({ url: link.url, max: 2 });
    try {
      await rejects(sql`select 1`, { code: "LINK_FAILED" });
      link.heal();
      strictEqual((await sql`select 1`).length, 1);
    } finally {
      await sql.end({ timeout: 1 });
    }
  });
}

Deno.test("dead encrypted connections leave no open socket", async () => {
  await using link = await openLinkTo(postgres.address({ query: "sslmode=require" }));
  const sql = connect({ url: link.url, max: 1, statementTimeoutMs: 50 });
  const socketsOf = () =>
    [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:");
      } catch {
        return false;
      }
    }).length;
  const before = socketsOf();
  for (let round = 0; round < 3; round++) {
    await sql`select 1`;
    link.swallow();
    await rejects(sql`select 1`, { code: "LINK_FAILED" });
    link.heal();
  }
  await sql.end({ timeout: 1 });
  await link[Symbol.asyncDispose]();
  await eventually("all sockets are closed", () => socketsOf() <= before);
});

Deno.test("a response that arrives in parts is not silence", async () => {
  let silences = 0;
  const watch = watchSilence(200, () => silences++);
  watch.begin();
  watch.sent();
  for (let part = 0; part < 10; part++) {
    await delay(50);
    watch.received();
  }
  watch.settled();
  await delay(300);
  strictEqual(silences, 0);
  watch.sent();
  await eventually("it is silent", () => silences > 0);
  watch.end();
});

Deno.test("what arrives while the process is busy is read before it counts as silence", async () => {
  let silences = 0;
  const watch = watchSilence(50, () => silences++);
  watch.begin();
  watch.sent();
  const until = performance.now() + 200;
  while (performance.now() < until);
  // Runs after the timer, as reading from the network does.
  await delay(0);
  watch.received();
  watch.settled();
  await delay(200);
  strictEqual(silences, 0);
  watch.end();
});

Deno.test("statements behind the first don't put off its silence", async () => {
  const began = performance.now();
  const { promise, resolve } = Promise.withResolvers<number>();
  const watch = watchSilence(300, () => resolve(performance.now() - began));
  watch.begin();
  const statements = setInterval(() => watch.sent(), 20);
  watch.sent();
  const after = await promise;
  clearInterval(statements);
  watch.end();
  ok(after >= 300);
});
