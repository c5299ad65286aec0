import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { oldDatabase } from "../testing/old_database.ts";
import { zonedDatabase } from "../testing/zoned_database.ts";
import type { Sql } from "./sql.ts";
import { ALL_SERIES, readSteps, titleOf } from "./migrations.ts";

const ROOT = new URL("../", import.meta.url);

const STEPS = (await readSteps(ALL_SERIES)).map(titleOf);

/** How long a run waits for others depends on the machine. */
const WAITS = /^(?:Waiting for another migration: |\w+ waits for ).*\n/gm;

const linesOf = (steps: readonly string[]) =>
  new RegExp(`^${steps.map((step) => `${step}: done in \\d+ ms\n`).join("")}$`);

Deno.test("deno task migrate prints a line for each step, and nothing the second time", async () => {
  await using database = await freshDatabase({ migrated: false });
  const first = await runTask({ DATABASE_URL: database.url });
  match(first.stdout, linesOf(STEPS));
  deepStrictEqual([first.code, first.stderr], [0, ""]);
  const second = await runTask({ DATABASE_URL: database.url });
  deepStrictEqual(second, { code: 0, stdout: "", stderr: "" });
});

Deno.test("two concurrent processes both succeed and do each step once", async () => {
  await using database = await freshDatabase({ migrated: false });
  const runs = [1, 2].map(() => runTask({ DATABASE_URL: database.url }));
  const [one, two] = await Promise.all(runs);
  ok(one && two);
  deepStrictEqual([one.code, one.stderr, two.code, two.stderr], [0, "", 0, ""]);
  match(one.stdout + two.stdout, linesOf(STEPS));
});

Deno.test("a run that was killed in the middle of an index build is repaired by the next", async () => {
  await using database = await oldDatabase();
  const { sql } = database;
  await using writer = await openTransaction(sql, "insert into lot_genealogy default values");
  const killed = await startTask({ DATABASE_URL: database.url });
  await eventually("the index is being built", async () => (await invalidIndexes(sql)).length > 0);
  killed.kill("SIGKILL");
  await killed.output();
  // PostgreSQL would continue without it. Here it is stopped as well, as in a crash of the machine.
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'lotline-migrate' and datname = current_database()`;
  await eventually("its session is gone", async () => (await sessions(sql)).length === 0);
  deepStrictEqual(await invalidIndexes(sql), ["lotline_lot_genealogy_parent"]);

  // This one is killed too, and PostgreSQL continues: the next run has to wait for its turn.
  const killedToo = await startTask({ DATABASE_URL: database.url });
  await eventually("it removes what is left", async () => {
    const [session] = await sessions(sql);
    return session?.wait_event_type === "Lock";
  });
  killedToo.kill("SIGKILL");
  await killedToo.output();
  const healing = runTask({ DATABASE_URL: database.url });
  await writer.commit();
  const { code, stdout, stderr } = await healing;
  deepStrictEqual([code, stderr], [0, ""]);
  match(stdout, linesOf(STEPS.slice(1)));
  deepStrictEqual(await invalidIndexes(sql), []);
  const built = await sql`select indexname from pg_indexes where indexname like 'lotline%'`;
  strictEqual(built.length, 2);
});

const MISTAKES: readonly {
  what: string;
  change(url: URL): string | undefined;
  says: RegExp;
}[] = [
  {
    what: "no DATABASE_URL",
    change: () => undefined,
    says: /^Invalid settings:\n {2}DATABASE_URL is missing: [^\n]+\n$/,
  },
  {
    what: "a DATABASE_URL that is none",
    change: () => "plant.example",
    says: /^Invalid settings:\n {2}DATABASE_URL is invalid: [^\n]+\n$/,
  },
  {
    what: "a server that isn't there",
    change: (url) => Object.assign(url, { port: "1" }).href,
    says: /^The database can't be reached: check host and port in DATABASE_URL[^\n]+\n$/,
  },
  {
    what: "a database that isn't there",
    change: (url) => Object.assign(url, { pathname: "/nowhere" }).href,
    says: /^The database does not exist: [^\n]+ \(database "nowhere" does not exist\)\n$/,
  },
  {
    what: "a user that isn't there",
    change: (url) => Object.assign(url, { username: "nobody" }).href,
    says: /^The database refuses the login: [^\n]+ \(role "nobody" does not exist\)\n$/,
  },
];

for (const { what, change, says } of MISTAKES) {
  Deno.test(`${what} is one clear message and exit code 1`, async () => {
    await using database = await freshDatabase({ migrated: false });
    const address = change(new URL(database.url));
    const run = await runTask(address === undefined ? {} : { DATABASE_URL: address });
    deepStrictEqual([run.code, run.stdout], [1, ""]);
    match(run.stderr, says);
  });
}

Deno.test("a database that isn't the old server's is a clear message and exit code 1", async () => {
  await using database = await oldDatabase();
  await database.sql`alter table lots add column supplier text`;
  const run = await runTask({ DATABASE_URL: database.url });
  deepStrictEqual(run, {
    code: 1,
    stdout: "",
    stderr: "This database isn't the old server's as Lotline knows it; nothing was changed:\n" +
      "  lots has an unknown column supplier\n",
  });
});

/** Runs `deno task migrate` as a user of its own, with these rights. */
async function migrateAs(
  database: TestDatabase,
  grants: (role: string) => readonly string[],
) {
  const { sql, url } = database;
  const role = `member_${crypto.randomUUID().slice(0, 8)}`;
  await sql.unsafe(`create role ${role} login`);
  try {
    for (const statement of grants(role)) await sql.unsafe(statement);
    const { href } = Object.assign(new URL(url), { username: role });
    return { role, ...await runTask({ DATABASE_URL: href }) };
  } finally {
    await sql.unsafe(
      `reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`,
    )
      .simple();
  }
}

Deno.test("another user than the owner learns whom it needs, before the first step", async () => {
  await using database = await oldDatabase();
  const name = new URL(database.url).pathname.slice(1);
  const nothing = await migrateAs(database, () => []);
  deepStrictEqual(nothing, {
    role: nothing.role,
    code: 1,
    stdout: "",
    stderr:
      "Nothing was changed: migrate needs the owner of the tables, postgres, and was started " +
      `as ${nothing.role}, which lacks ownership of lot_genealogy, lots, qc_decisions, and ` +
      `create on database ${name}, and create on schema public\n`,
  });
  const some = await migrateAs(database, (role) => [
    `grant create on database ${name} to ${role}`,
    `grant create on schema public to ${role}`,
    `grant all on all tables in schema public to ${role}`,
    `alter table lots owner to ${role}`,
  ]);
  strictEqual(
    some.stderr,
    "Nothing was changed: migrate needs the owner of the tables, postgres, and was started " +
      `as ${some.role}, which lacks ownership of lot_genealogy, qc_decisions\n`,
  );
  deepStrictEqual([...await database.sql`select to_regnamespace('lotline') as name`], [{
    name: null,
  }]);
});

Deno.test("an owner of the tables that may create nothing learns who can grant it", async () => {
  await using database = await oldDatabase();
  const name = new URL(database.url).pathname.slice(1);
  const own = (role: string) =>
    ["lots", "lot_genealogy", "qc_decisions"].map((table) =>
      `alter table ${table} owner to ${role}`
    );
  const { role, code, stderr } = await migrateAs(database, own);
  deepStrictEqual([code, stderr], [
    1,
    `Nothing was changed: migrate was started as ${role}, which lacks create on database ${name} ` +
    "and create on schema public: postgres can grant it\n",
  ]);
  const enough = await migrateAs(database, (role) => [
    ...own(role),
    `grant create on database ${name} to ${role}`,
    `grant create on schema public to ${role}`,
    `grant references on users to ${role}`,
  ]);
  deepStrictEqual([enough.code, enough.stderr], [0, ""]);
});

Deno.test("on a migrated database another user learns that the owner is needed", async () => {
  await using database = await freshDatabase();
  const blind = await migrateAs(database, () => []);
  deepStrictEqual([blind.code, blind.stderr], [
    1,
    "Nothing was changed: permission denied for schema lotline: migrate needs the owner of the " +
    `tables and of schema lotline, and was started as ${blind.role}\n`,
  ]);
  await database.sql`delete from lotline.migrations where name = '0024_carry_traces'`;
  const seeing = await migrateAs(database, (role) => [`grant usage on schema lotline to ${role}`]);
  strictEqual(
    seeing.stderr,
    "Nothing was changed: migrate needs the owner of the tables, postgres, and was started as " +
      `${seeing.role}, which lacks ownership of schema lotline\n`,
  );
  // It owns the schema, and not what is in it.
  const half = await migrateAs(database, (role) => [`alter schema lotline owner to ${role}`]);
  strictEqual(half.code, 1);
  match(
    half.stderr,
    new RegExp(`: migrate needs the owner .*, and was started as ${half.role}\n$`),
  );
});

Deno.test("time zones that differ are a line after the steps, and TIME_ZONE ends it", async () => {
  await using database = await zonedDatabase({ database: "Europe/Berlin", role: "Asia/Tokyo" });
  const run = (TIME_ZONE: string) => runTask({ DATABASE_URL: database.url, TIME_ZONE });
  deepStrictEqual(await run(""), {
    code: 0,
    stdout: "WARNING: times without an offset are read in Asia/Tokyo (role), and there is also " +
      "Europe/Berlin (database): set TIME_ZONE to the time zone of the old server's sessions\n",
    stderr: "",
  });
  const { stdout } = await run("UTC");
  match(
    stdout,
    /^WARNING: .* in UTC \(TIME_ZONE\), .* Europe\/Berlin \(database\), Asia\/Tokyo \(role\): /,
  );
  await using plain = await freshDatabase();
  deepStrictEqual(await runTask({ DATABASE_URL: plain.url, TIME_ZONE: "Etc/UTC" }), {
    code: 0,
    stdout: "",
    stderr: "",
  });
});

type Environment = Readonly<Record<string, string>>;

/** Runs the command of `deno task migrate`, exactly as in deno.json, to its end. */
async function runTask(environment: Environment) {
  const { code, stdout, stderr } = await (await startTask(environment)).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout).replaceAll(WAITS, ""), stderr: text(stderr) };
}

async function startTask(environment: Environment): Promise<Deno.ChildProcess> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const [program, ...args]: string[] = tasks.migrate.command.split(" ");
  strictEqual(program, "deno");
  const { DATABASE_URL: _, ...inherited } = Deno.env.toObject();
  return new Deno.Command(Deno.execPath(), {
    args,
    cwd: fileURLToPath(ROOT),
    clearEnv: true,
    env: { ...inherited, ...environment },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function invalidIndexes(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select indexrelid::regclass::text as name from pg_index where not indisvalid`;
  return rows.map(({ name }) => name);
}

/** The sessions of all runs in this database. */
async function sessions(sql: Sql) {
  return await sql<{ wait_event_type: string | null }[]>`
    select wait_event_type from pg_stat_activity
    where application_name = 'lotline-migrate' and datname = current_database()`;
}
