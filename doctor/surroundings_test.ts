import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { withPooler } from "../db/address.ts";
import { connect } from "../db/connect.ts";
import { listRunningProcesses, noteProcess } from "../db/processes.ts";
import { problem } from "../db/problems.ts";
import { SCHEMA_LOCK } from "../db/journal.ts";
import { openSession } from "../db/session.ts";
import { freePort } from "../dev/free_port.ts";
import type { Log } from "../log.ts";
import { openLinkTo } from "../testing/black_hole.ts";
import { makeAuthority } from "../testing/certificates.ts";
import { freshDatabase } from "../testing/database.ts";
import { about, examine } from "../testing/doctor.ts";
import { eventually } from "../testing/eventually.ts";
import { IGNORED_PARAMETERS, startPgBouncer } from "../testing/pgbouncer.ts";
import { tlsPostgres } from "../testing/postgres_servers.ts";
import { startPair } from "../testing/standby.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

/* What the doctor says before poolers and standbys, of links without an end, and of locks. */

const levelOf = (check: string, findings: Parameters<typeof about>[1]) => about(check, findings)[0];

Deno.test("a standby is read-only, and what it lacks isn't checked", async () => {
  await using pair = await startPair();
  const { primary, standby } = pair;
  const alone = await examine({ DATABASE_URL: standby.url });
  const { sentence, todo } = problem("read_only");
  deepStrictEqual(about("read_only", alone), ["failure", sentence, todo]);
  const skipped = ["note", "Not checked: the database is read-only"];
  deepStrictEqual(["processes", "clocks"].map((check) => about(check, alone)), [skipped, skipped]);
  strictEqual(alone.some(({ message }) => message.includes("itself failed")), false);

  const unsuitable = await examine({
    DATABASE_URL: `${standby.url}?target_session_attrs=read-write`,
  });
  const [level, message, advice] = about("database", unsuitable);
  deepStrictEqual([level, message.slice(0, sentence.length), advice], ["failure", sentence, todo]);

  const both = await examine({ DATABASE_URL: pair.url });
  deepStrictEqual(["read_only", "address"].map((check) => levelOf(check, both)), ["ok", "ok"]);
  ok(
    both.some(({ message }) =>
      message === `The hosts of DATABASE_URL: 127.0.0.1:${primary.port} is primary, ` +
          `127.0.0.1:${standby.port} is standby`
    ),
  );

  // A host that is gone is tried first and takes nothing from the others.
  const port = freePort();
  const withoutOne = pair.url.replace(`127.0.0.1:${standby.port}`, `127.0.0.1:${port}`);
  const lacking = await examine({ DATABASE_URL: withoutOne });
  deepStrictEqual(about("address", lacking), [
    "warning",
    `127.0.0.1:${port} in DATABASE_URL can't take over: ${problem("unreachable").sentence}`,
    problem("unreachable").todo,
  ]);
  strictEqual(levelOf("database", lacking), "ok");

  // DATABASE_URL as of a pooler that leads to the primary, and a direct address that was forgotten.
  const direct = await examine({ DATABASE_URL: pair.url, DATABASE_DIRECT_URL: standby.url });
  deepStrictEqual(about("direct address", direct), [
    "failure",
    "DATABASE_DIRECT_URL leads to a database that is read-only",
    "name the primary in DATABASE_DIRECT_URL",
  ]);
});

Deno.test("over a link that loses its bytes no check waits for long, with TLS too", async () => {
  await using folder = await temporaryFolder();
  const authority = await makeAuthority(folder.path);
  await using server = await tlsPostgres(await authority.issue({ names: ["DNS:localhost"] }));
  await using link = await openLinkTo(server.address({ query: "sslmode=require" }));
  const address = `${link.url}&sslmode=require`;
  link.swallow();
  const { sentence, todo } = problem("unreachable");
  const findings = await examine({ DATABASE_URL: address });
  const [level, message = "", advice] = about("database", findings);
  deepStrictEqual([level, message.slice(0, sentence.length), advice], ["failure", sentence, todo]);
  deepStrictEqual(about("locks", findings), ["note", "Not checked: the database can't be used"]);
});

Deno.test("an IP address is checked against the certificate, and a client without one is told", async () => {
  await using folder = await temporaryFolder();
  const authority = await makeAuthority(folder.path);
  await using server = await tlsPostgres(await authority.issue({ names: ["DNS:localhost"] }), {
    clientAuthority: authority.cert,
    hba: ["hostssl all all all trust clientcert=verify-ca"],
  });
  const query = new URLSearchParams({ sslmode: "verify-full", sslrootcert: authority.cert });
  for (
    const [host, kind] of [["127.0.0.1", "tls_name"], ["localhost", "tls_client_key"]] as const
  ) {
    const { sentence, todo } = problem(kind);
    const findings = await examine({ DATABASE_URL: server.address({ host, query: `${query}` }) });
    const [level, message = "", advice] = about("database", findings);
    deepStrictEqual([level, message.slice(0, sentence.length), advice], [
      "failure",
      sentence,
      todo,
    ]);
  }
});

const DIRECT = "set DATABASE_DIRECT_URL to the address of PostgreSQL itself";

Deno.test("PgBouncer 1.18: what it lacks, and the direct address that a worker needs", async () => {
  await using database = await freshDatabase();
  await using bouncer = await startPgBouncer(database.url, {
    settings: { ignore_startup_parameters: IGNORED_PARAMETERS },
  });
  const DATABASE_URL = bouncer.through(database.url);
  const worker = await examine({ DATABASE_URL });
  deepStrictEqual(about("pooler", worker), [
    "failure",
    "DATABASE_DIRECT_URL is not set, and worker and migrations can't work through a pooler",
    DIRECT,
  ]);
  const api = await examine({ DATABASE_URL, AUTH_MODE: "legacy" });
  deepStrictEqual(about("pooler", api).slice(0, 1), ["warning"]);
  for (const check of ["database", "locks", "time zone", "clocks", "processes", "encryption"]) {
    match(levelOf(check, api) ?? "", /ok|warning/, JSON.stringify(about(check, api)));
  }

  const url = withPooler(DATABASE_URL, "auto");
  const sql = connect({ url, max: 2 });
  const events: string[] = [];
  const log: Log = (_, event) => void events.push(event);
  {
    using _noted = noteProcess({ sql, url, kind: "api", connections: 90, log, everyMs: 20 });
    await eventually("the process is noted as one before a pooler", async () => {
      const [running] = await listRunningProcesses(database.sql);
      return running?.isPooled === true && running.clock !== null;
    });
  }
  await sql.end({ timeout: 1 });
  deepStrictEqual(events, []);

  const both = await examine({ DATABASE_URL, DATABASE_DIRECT_URL: database.url });
  ok(
    both.some(({ message }) =>
      message === "The pools of the running processes have 0 connections together"
    ),
  );
  deepStrictEqual(about("pooler", both), [
    "note",
    "DATABASE_URL leads through a pooler in transaction mode, without prepared statements: " +
    "PostgreSQL plans each statement again",
    "use PgBouncer 1.21 or later with max_prepared_statements = 200",
  ]);
  deepStrictEqual(about("direct address", both), [
    "ok",
    "DATABASE_DIRECT_URL leads to PostgreSQL itself",
  ]);

  const none = await examine({ DATABASE_URL, DATABASE_POOLER: "none" });
  deepStrictEqual([about("pooler", none)[0], about("pooler", none)[2]], [
    "failure",
    "set DATABASE_POOLER=auto",
  ]);
  const needless = await examine({ DATABASE_URL: database.url, DATABASE_POOLER: "transaction" });
  deepStrictEqual([about("pooler", needless)[0], about("pooler", needless)[2]], [
    "note",
    "set DATABASE_POOLER=auto",
  ]);
});

Deno.test("a newer PgBouncer keeps prepared statements; as a direct address it is a failure", async () => {
  await using database = await freshDatabase();
  await using other = await freshDatabase({ migrated: false });
  await using bouncer = await startPgBouncer(database.url, {
    release: "trixie",
    settings: { max_prepared_statements: "100" },
  });
  const DATABASE_URL = bouncer.through(database.url);
  const through = await examine({ DATABASE_URL, DATABASE_DIRECT_URL: DATABASE_URL });
  deepStrictEqual(about("pooler", through), [
    "ok",
    "DATABASE_URL leads through a pooler in transaction mode, with prepared statements",
  ]);
  deepStrictEqual(about("direct address", through), [
    "failure",
    "DATABASE_DIRECT_URL leads through a pooler in transaction mode",
    "give the address of PostgreSQL itself in DATABASE_DIRECT_URL",
  ]);
  const elsewhere = await examine({
    DATABASE_URL,
    DATABASE_DIRECT_URL: other.url,
    AUTH_MODE: "legacy",
  });
  deepStrictEqual([about("direct address", elsewhere)[0], about("direct address", elsewhere)[2]], [
    "failure",
    "give both the same server and database",
  ]);
  const down = await examine({
    DATABASE_URL,
    DATABASE_DIRECT_URL: `postgres://u:canary-word@127.0.0.1:${freePort()}/d`,
  });
  const [level, , todo] = about("direct address", down);
  deepStrictEqual([level, todo], [
    "failure",
    problem("unreachable").todo.replace("DATABASE_URL", "DATABASE_DIRECT_URL"),
  ]);
  strictEqual(levelOf("pooler", down), "ok");
});

Deno.test("locks: who waits for whom, and a lock of migrations that is left over", async () => {
  await using database = await freshDatabase();
  const environment = { DATABASE_URL: database.url };
  deepStrictEqual(about("locks", await examine(environment)), [
    "ok",
    "No lock is left over or waited for",
  ]);
  await using left = openSession(database.url, { name: "left-over" });
  await left.sql`select pg_advisory_lock(${SCHEMA_LOCK})`;
  await left.sql`begin`;
  await left.sql`lock table lots in access exclusive mode`;
  await using waiting = openSession(database.url, { name: "waiting" });
  const waits = waiting.sql`select count(*) from lots`.then(() => undefined);
  await eventually("the wait is told", async () => {
    const findings = (await examine(environment)).filter(({ check }) => check === "locks");
    const [wait, lock, ...others] = findings;
    if (others.length > 0 || lock === undefined) return false;
    deepStrictEqual([wait?.level, lock.level], ["warning", "warning"]);
    match(
      wait?.message ?? "",
      /^Connection \d+ \(waiting\) has waited \d+ s for connection \d+ \(left-over, .*idle since/,
    );
    match(wait?.todo ?? "", /select pg_terminate_backend\(\d+\)$/);
    match(lock.message, /^Each migration waits: connection \d+ \(left-over, .*\) has their lock$/);
    return true;
  });
  await left.sql`rollback`;
  await waits;
});
