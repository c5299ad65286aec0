import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { ProblemKind } from "../db/link_error.ts";
import { problem } from "../db/problems.ts";
import { freePort } from "../dev/free_port.ts";
import { makeAuthority } from "../testing/certificates.ts";
import { freshDatabase } from "../testing/database.ts";
import { about, examine } from "../testing/doctor.ts";
import { tlsPostgres } from "../testing/postgres_servers.ts";
import { refusingPostgres } from "../testing/refusing_postgres.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { zonedDatabase } from "../testing/zoned_database.ts";

/* Set-ups that are broken, each in one way, and what the doctor says of them. */

const postgres = await refusingPostgres();
Deno.test.afterAll(async () => await postgres[Symbol.asyncDispose]());

const REFUSED: readonly [what: string, address: string, kind: ProblemKind, check: string][] = [
  ["a wrong password", postgres.address("wrong"), "refused_login", "database"],
  ["a role that pg_hba.conf rejects", postgres.address("rejected"), "refused_login", "database"],
  ["a role that needs TLS", postgres.address("encrypted"), "encryption_required", "database"],
  ["a missing database", postgres.address("plain", "nowhere"), "no_database", "database"],
  ["a database that admits nobody", postgres.address("plain", "crowded"), "too_many", "database"],
  ["a right to connect that lacks", postgres.address("plain", "closed"), "no_right", "database"],
  ["rights that lack", postgres.address("plain", "rightless"), "no_right", "migrations"],
  ["an empty database", postgres.address("postgres", "empty"), "schema_missing", "migrations"],
  [
    "an unknown setting in the address",
    `${postgres.address("postgres")}?options=-c%20plant_setting%3D1`,
    "unknown_parameter",
    "database",
  ],
  [
    "a server that isn't there",
    `postgres://u:canary-word@127.0.0.1:${freePort()}/d`,
    "unreachable",
    "database",
  ],
  [
    "a server without TLS",
    `${postgres.address("plain")}?sslmode=require`,
    "tls_unsupported",
    "database",
  ],
];

for (const [what, address, kind, check] of REFUSED) {
  Deno.test(`${what} is ${kind} in check ${check}, and what needs it is not checked`, async () => {
    const findings = await examine({ DATABASE_URL: address });
    const { sentence, todo } = problem(kind);
    const finding = findings.find((one) => one.check === check && one.level === "failure");
    deepStrictEqual([finding?.message.slice(0, sentence.length), finding?.todo], [sentence, todo]);
    const notChecked = check === "database"
      ? "Not checked: the database can't be used"
      : "Not checked: the database lacks migrations";
    deepStrictEqual(about("jobs", findings), ["note", notChecked]);
  });
}

Deno.test("a program that isn't PostgreSQL is named", async () => {
  await using server = Deno.serve({ port: 0, onListen() {} }, () => new Response("no"));
  const findings = await examine({ DATABASE_URL: `postgres://u@127.0.0.1:${server.addr.port}/d` });
  const { sentence } = problem("not_postgres");
  strictEqual(about("database", findings)[1].slice(0, sentence.length), sentence);
});

Deno.test("each invalid setting is a failure, and the valid ones are checked", async () => {
  await using database = await freshDatabase();
  const findings = await examine({
    DATABASE_URL: database.url,
    VALKEY_URL: "redis://:canary%@h",
    AUTH_MODE: "required",
    JWT_KEYS_FILE: "/nowhere/keys.json",
    DATABASE_POOL: "5",
    TIME_ZONE: "Mars/Base",
  });
  const ofSettings = findings.filter(({ check }) => check === "settings");
  deepStrictEqual(ofSettings.map(({ level, message }) => `${level} ${message.split(" ")[0]}`), [
    "failure VALKEY_URL",
    "failure TIME_ZONE",
    "failure CORS_ORIGINS",
    "note DATABASE_POOL",
  ]);
  strictEqual(about("migrations", findings)[0], "ok");
  deepStrictEqual(about("keys", findings), [
    "failure",
    "JWT_KEYS_FILE /nowhere/keys.json can't be read, make one with: deno task keys create",
    "docs/setup.md explains deno task keys",
  ]);
});

Deno.test("a mistaken DATABASE_URL is a failure without its password", async () => {
  for (
    const [address, message] of [
      ["postgres://u:canary%@h/d", "the password has a %"],
      ["postgres://u:canary@h/d?statement_timeout=0", "statement_timeout"],
      ["postgres://u:canary@h/d?channel_binding=require", "channel_binding must be"],
      ["postgres://u:canary@h/d?plant=1", "plant"],
    ] as const
  ) {
    const [level, said, todo] = about("settings", await examine({ DATABASE_URL: address }));
    deepStrictEqual([level, todo], ["failure", ".env.example explains each setting"]);
    ok(said.startsWith("DATABASE_URL is invalid: ") && said.includes(message), said);
  }
  const findings = await examine({ DATABASE_URL: "postgres://u:canary%@h/d" });
  deepStrictEqual(about("rights", findings), ["note", "Not checked: DATABASE_URL can't be used"]);
});

Deno.test("an address with several hosts or useless parameters is told", async () => {
  await using database = await freshDatabase();
  const { host } = new URL(database.url);
  const several = database.url.replace(host, `${host},${host}`);
  const findings = await examine({ DATABASE_URL: `${several}?connection_limit=5` });
  deepStrictEqual(
    findings.filter(({ check }) => check === "address").map(({ level }) => level),
    ["ok", "warning", "note", "ok"],
  );
  strictEqual(about("database", findings)[0], "ok");
});

Deno.test("TLS: a certificate that ends soon, an expired one, an unknown authority, a missing file", async () => {
  await using folder = await temporaryFolder();
  const ours = await makeAuthority(folder.path);
  const other = await makeAuthority(folder.path);
  const [valid, expired] = await Promise.all([
    ours.issue({ names: ["DNS:localhost"] }),
    ours.issue({ names: ["DNS:localhost"], isExpired: true }),
  ]);
  await using server = await tlsPostgres(valid);
  const withRoot = (file: string) => ({
    DATABASE_URL: server.address({
      host: "localhost",
      query: new URLSearchParams({ sslmode: "verify-full", sslrootcert: file }).toString(),
    }),
  });
  const well = await examine(withRoot(ours.cert));
  deepStrictEqual(
    ["database", "encryption", "certificates"].map((check) => about(check, well)[0]),
    [
      "ok",
      // Both are made for 30 days.
      "warning",
      "warning",
    ],
  );
  const unknown = await examine(withRoot(other.cert));
  strictEqual(about("database", unknown)[1].startsWith(problem("tls_untrusted").sentence), true);
  const missing = await examine(withRoot(join(folder.path, "missing.crt")));
  deepStrictEqual(about("certificates", missing), [
    "failure",
    `${
      problem("tls_file").sentence
    } (sslrootcert: the file doesn't exist, or Deno may not read it)`,
    problem("tls_file").todo,
  ]);
  await server.present(expired);
  const late = await examine(withRoot(ours.cert));
  strictEqual(about("database", late)[1].startsWith(problem("tls_expired").sentence), true);
});

Deno.test("a read-only database, one of a later version, and one that lacks a step", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  await sql`insert into lotline.migrations (series, number, name, checksum)
    values ('service', 9000, '9000_later', '')`;
  strictEqual(about("migrations", await examine({ DATABASE_URL: url }))[0], "note");
  await sql`delete from lotline.migrations where series = 'cutover' or number >= 9`;
  const [level, message, todo] = about("migrations", await examine({ DATABASE_URL: url }));
  deepStrictEqual([level, todo], ["failure", "run deno task migrate"]);
  const missing =
    "0009_jobs, 0010_traces, 0011_audits, 0012_bound_the_outbox, 0013_index_dead_jobs";
  match(message, new RegExp(`^${problem("schema_old").sentence}: ${missing} and [0-9]+ more$`));
  const name = new URL(url).pathname.slice(1);
  await sql.unsafe(`alter database ${name} set default_transaction_read_only = on`);
  const readOnly = await examine({ DATABASE_URL: url });
  deepStrictEqual(about("read_only", readOnly), [
    "failure",
    problem("read_only").sentence,
    problem("read_only").todo,
  ]);
});

Deno.test("time zones of database, role and TIME_ZONE that differ are a warning", async () => {
  await using database = await zonedDatabase({ database: "Europe/Berlin", role: "UTC" });
  const before = about("time zone", await examine({ DATABASE_URL: database.url }));
  strictEqual(before[0], "warning");
  ok(before[1].includes("Europe/Berlin"), before[1]);
  await using plain = await zonedDatabase({ database: "Europe/Berlin" });
  const overruled = { DATABASE_URL: plain.url, TIME_ZONE: "America/St_Johns" };
  deepStrictEqual(about("time zone", await examine(overruled))[0], "warning");
  deepStrictEqual(
    about("time zone", await examine({ DATABASE_URL: plain.url, TIME_ZONE: "Europe/Berlin" })),
    ["ok", "Times without an offset are read in Europe/Berlin"],
  );
});

Deno.test("clocks, dead jobs and changes that wait are told by what the processes left", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`select lotline.note_process(
    gen_random_uuid(), 'api', null, null, null, null, null, null)`;
  await sql`update lotline.processes set clock_ahead_ms = 45000, clock_error_ms = 2`;
  await sql`insert into lotline.jobs (kind, state, finished_at) values ('deep_trace', 'dead', now())`;
  await sql`insert into lotline.jobs (kind, run_at) values ('upkeep', now() - interval '5 minutes')`;
  await sql`insert into lotline.outbox (source, operation)
    select 'lots', 'UPDATE' from generate_series(1, 1000)`;
  const findings = await examine({ DATABASE_URL: database.url });
  deepStrictEqual(about("clocks", findings), [
    "failure",
    "The clock of the api at 127.0.0.1 is 45.0 s ahead of PostgreSQL's",
    "synchronise the clocks, for example with chrony",
  ]);
  deepStrictEqual(about("processes", findings), [
    "warning",
    "No worker runs: jobs wait, and the cache isn't used",
    "start deno task worker",
  ]);
  strictEqual(findings.filter((one) => one.check === "jobs" && one.level === "warning").length, 2);
  strictEqual(
    findings.filter((one) => one.check === "outbox" && one.level === "warning").length,
    2,
  );
  deepStrictEqual(about("schedule", findings)[0], "warning");
});

Deno.test("a key file that others can read is a failure with the command that ends it", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "keys.json");
  await Deno.writeTextFile(path, "canary", { mode: 0o644 });
  const findings = await examine({ AUTH_MODE: "legacy", JWT_KEYS_FILE: path });
  deepStrictEqual(about("keys", findings), [
    "failure",
    `${path} can be read by others: chmod o= ${path}`,
    "docs/setup.md explains deno task keys",
  ]);
});

Deno.test("a secret of a file is checked as others are, and the file is named", async () => {
  await using database = await freshDatabase();
  await using folder = await temporaryFolder();
  const path = join(folder.path, "database_url");
  await Deno.writeTextFile(path, `${database.url}\n`, { mode: 0o600 });
  const findings = await examine({ DATABASE_URL_FILE: path });
  deepStrictEqual(about("database", findings)[0], "ok");
  const messages = findings.filter(({ check }) => check === "settings").map((one) => one.message);
  ok(messages.includes(`DATABASE_URL is read from ${path}`), messages.join());

  await Deno.writeTextFile(path, "postgres://u:canary@h/d?x=1", { mode: 0o600 });
  deepStrictEqual(about("settings", await examine({ DATABASE_URL_FILE: path })).slice(0, 2), [
    "failure",
    "DATABASE_URL is invalid: x is not a parameter of a PostgreSQL address: remove it " +
    `(it was read from ${path})`,
  ]);
  await Deno.chmod(path, 0o644);
  deepStrictEqual(about("settings", await examine({ DATABASE_URL_FILE: path })).slice(0, 2), [
    "failure",
    `DATABASE_URL_FILE is invalid: ${path} can be read by others: chmod o= ${path}`,
  ]);
});

Deno.test("the image's JWT_KEYS_FILE without a file makes no API of a worker", async () => {
  const findings = await examine({ JWT_KEYS_FILE: "/nowhere/jwt.json" });
  deepStrictEqual(about("keys", findings), ["none", ""]);
  strictEqual(findings.some(({ message }) => message.startsWith("AUTH_MODE is missing")), false);
});
