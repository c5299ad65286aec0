import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { taskOutput } from "../testing/task_output.ts";
import { connect } from "./connect.ts";
import { applyGrants, GrantsError, grantsOf, nameProblem, type Role } from "./grants.ts";
import { migrate } from "./migrate.ts";
import { API_RIGHTS, readGatewayRights, type Rights, WORKER_RIGHTS } from "./rights.ts";
import type { Sql } from "./sql.ts";

const PAGE = new URL("../docs/rights.md", import.meta.url);

const PROGRAMS: readonly (readonly [program: string, rights: Rights | undefined])[] = [
  ["api", API_RIGHTS],
  ["worker", WORKER_RIGHTS],
  ["gateway", await readGatewayRights()],
];

/** Roles belong to the whole server, which other tests use too. */
async function withRole(
  rights: Rights,
  test: (database: TestDatabase, role: Role) => Promise<void>,
): Promise<void> {
  await using database = await freshDatabase();
  const name = `Lot'"line ${crypto.randomUUID().slice(0, 8)}`;
  try {
    await test(database, { name, owner: "a test", rights });
  } finally {
    const role = `"${name.replaceAll('"', '""')}"`;
    await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`).simple();
  }
}

for (const [program, rights] of PROGRAMS) {
  if (rights === undefined) continue;
  Deno.test(`the user of the ${program} gets the rights of its list and no others`, async () => {
    await withRole(rights, async ({ sql, url }, role) => {
      strictEqual((await applyGrants(url, [role])).length, 1);
      const expected = rights.onTables.flatMap(({ tables, rights, columns = [""] }) =>
        tables.flatMap((table) =>
          rights.flatMap((right) => columns.map((column) => `${right} ${table} ${column}`.trim()))
        )
      );
      deepStrictEqual(await grantedTo(sql, role.name), [...new Set(expected)].sort());
      deepStrictEqual(await applyGrants(url, [role]), [], "the second time it exists");
    });
  });
}

/** All rights on tables and columns that a role was given. */
async function grantedTo(sql: Sql, name: string): Promise<string[]> {
  const rows = await sql<{ right: string }[]>`
    with role as (select oid from pg_roles where rolname = ${name}),
      tables as (
        select c.oid, relacl, nspname || '.' || relname as name
        from pg_class c join pg_namespace n on n.oid = relnamespace
      )
    select lower(privilege_type) || ' ' || name as right
    from tables, aclexplode(relacl), role where grantee = role.oid
    union all
    select lower(privilege_type) || ' ' || name || ' ' || attname
    from pg_attribute join tables on tables.oid = attrelid, aclexplode(attacl), role
    where grantee = role.oid`;
  return rows.map(({ right }) => right).sort();
}

for (
  const statement of [
    "update public.lots set weight_kg = 1",
    "delete from public.lots",
    "truncate public.lots",
    "select email from auth.users",
    "create table public.mine (id int)",
    "create schema mine",
    "drop table lotline.jobs",
    "update public.users set role = 'ADMIN'",
  ]
) {
  Deno.test(`the API's user may not: ${statement}`, async () => {
    await withRole(API_RIGHTS, async ({ url }, role) => {
      await applyGrants(url, [role]);
      const { href } = Object.assign(new URL(url), { username: role.name });
      const sql = connect({ url: href, max: 1 });
      await rejects(Promise.resolve(sql.unsafe(statement)), /permission denied|must be owner/);
      await sql.end();
    });
  });
}

Deno.test("another user than the owner can't grant, and changes nothing", async () => {
  await withRole(API_RIGHTS, async ({ sql, url }, role) => {
    await applyGrants(url, [role]);
    const { href } = Object.assign(new URL(url), { username: role.name });
    const refused = { name: `${role.name} 2`, owner: "a test", rights: WORKER_RIGHTS };
    await rejects(applyGrants(href, [refused]), (error: Error) => {
      match(
        error.message,
        /^Nothing was changed: permission denied to create role; use the address/,
      );
      return error instanceof GrantsError;
    });
    // It exists: then PostgreSQL only warns.
    const itself = { ...role, rights: WORKER_RIGHTS };
    await rejects(
      applyGrants(href, [itself]),
      /^GrantsError: Nothing was changed: .*; use the address of the tables' owner/,
    );
    const rows = await sql`select from pg_roles where rolname = ${refused.name}`;
    strictEqual(rows.length, 0);
  });
});

Deno.test("without Lotline's tables there is nothing to grant", async () => {
  await using database = await freshDatabase({ migrated: false });
  const role = { name: "lotline_nobody", owner: "a test", rights: WORKER_RIGHTS };
  await rejects(
    applyGrants(database.url, [role]),
    new GrantsError(
      "The database lacks lotline.audit_findings and other tables: run deno task migrate first",
    ),
  );
});

Deno.test("a new user logs in with the address that --apply shows; a second run keeps it", async () => {
  await using postgres = await ownPostgres(17, {
    hba: [
      "host all postgres 127.0.0.1/32 trust",
      "host all all 127.0.0.1/32 scram-sha-256",
    ],
  });
  const url = postgres.address();
  await migrate(url, () => {});
  const apply = () =>
    taskOutput(["grants", "--apply", "--only", "api", "--api", "line 1"], { DATABASE_URL: url });
  const { code, output, error } = await apply();
  strictEqual(code, 0, error);
  const [, address = ""] = /^line 1 is new and has the rights of the API: (postgres:\S+)$/
    .exec(output) ?? [];
  const sql = connect({ url: address, max: 1 });
  deepStrictEqual([...await sql`select current_user as name`], [{ name: "line 1" }]);
  await sql.end();
  deepStrictEqual(await apply(), {
    code: 0,
    output: "line 1 has the rights of the API",
    error: "",
  });
});

Deno.test("docs/rights.md has what deno task grants prints", async () => {
  const page = await Deno.readTextFile(PAGE);
  const { code, output } = await taskOutput(["grants", "plant"], {});
  strictEqual(code, 0);
  // Without the cutover it prints less.
  for (const statements of output.split("\n\n")) ok(page.includes(statements), statements);
});

const MISUSED: readonly (readonly [args: string[], code: number, says: RegExp])[] = [
  [[], 2, /^usage: /],
  [["plant", "--apply"], 2, /^usage: /],
  [["plant", "other"], 2, /^usage: /],
  [["plant", "--none"], 2, /Unknown option '--none'/],
  [["plant", "--only", "gatweay"], 2, /There is no program gatweay$/],
  [["plant", "--api", "a$b"], 1, /^"a\$b": a name has no control characters and no \$$/],
  [["x".repeat(64)], 1, /: a name has 1 to 63 bytes$/],
  [["--apply"], 2, /^Invalid settings:\n {2}DATABASE_URL is missing/],
];

for (const [args, code, says] of MISUSED) {
  Deno.test(`grants ${args.join(" ")} is refused`, async () => {
    const result = await taskOutput(["grants", ...args], {});
    deepStrictEqual([result.code, result.output], [code, ""]);
    match(result.error, says);
  });
}

Deno.test("names are quoted, and those that PostgreSQL would cut are refused", () => {
  const rights: Rights = { schemas: ["lotline"], onTables: [] };
  const text = grantsOf({ name: `o'r"o`, owner: "a test", rights }, `plant "1"`);
  ok(text.includes(`rolname = 'o''r"o'`));
  ok(text.includes(`create role "o'r""o" login`));
  ok(text.includes(`grant connect on database "plant ""1""" to "o'r""o";`));
  for (const name of ["", "a\nb", "$$", "ä".repeat(32)]) ok(nameProblem(name), name);
  strictEqual(nameProblem("ä".repeat(31)), undefined);
});
