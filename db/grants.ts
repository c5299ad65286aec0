import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { listMissingTables, selectLackingRights } from "./held_rights.ts";
import { oneRow } from "./one_row.ts";
import { isMissingRight } from "./pg_errors.ts";
import type { Rights } from "./rights.ts";
import { openSession } from "./session.ts";
import type { Sql } from "./sql.ts";

/** A user of the database that a process connects as. */
export interface Role {
  /** Such as `lotline_api`. */
  readonly name: string;
  /** Such as `the API`. */
  readonly owner: string;
  readonly rights: Rights;
}

/** Why a role or a database can't have this name; undefined when it can. */
export function nameProblem(name: string): string | undefined {
  const bytes = new TextEncoder().encode(name).length;
  // PostgreSQL cuts longer ones, so that two names could become one.
  if (bytes === 0 || bytes > 63) return "a name has 1 to 63 bytes";
  if (/\p{Cc}|\p{Cs}|\$/u.test(name)) return "a name has no control characters and no $";
  return undefined;
}

/** The statements that make a role and give it its rights; they can be repeated. */
export function grantsOf({ name, owner, rights }: Role, database: string): string {
  const role = quoted(name);
  const onDatabase = `grant connect${rights.temporary ? ", temporary" : ""} on database`;
  const statements = [
    `grant usage on schema ${rights.schemas.join(", ")}`,
    ...rights.onTables.map(({ tables, rights, columns }) => {
      const ofColumns = columns === undefined ? "" : ` (${columns.join(", ")})`;
      return `grant ${rights.map((right) => right + ofColumns).join(", ")} on ${tables.join(", ")}`;
    }),
  ];
  return [
    `-- The user of ${owner}.`,
    creationOf(name),
    `${onDatabase} ${quoted(database)} to ${role};`,
    // A name may have spaces, and stays whole.
    ...statements.map((statement) => wrapped([...statement.split(" "), `to ${role};`])),
  ].join("\n");
}

const creationOf = (name: string) =>
  `do $$ begin
  if not exists (select from pg_roles where rolname = ${literal(name)}) then
    create role ${quoted(name)} login;
  end if;
end $$;`;

/** The length of a line on a page. */
const LINE = 100;

function wrapped(words: readonly string[]): string {
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    if (line !== "" && line.length + 1 + word.length > LINE) {
      lines.push(line);
      line = " ";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line].join("\n");
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

/** The grants can't be made; nothing was changed. */
export class GrantsError extends Error {
  override name = "GrantsError";
}

/** A role that was made, with its password in plain text. */
export interface MadeRole {
  readonly name: string;
  readonly password: string;
}

/**
 * Makes the roles that don't exist, each with a password of its own, and gives all their rights: wholly
 * or not at all.
 *
 * @param url the address of the tables' owner
 * @throws {GrantsError}
 */
export async function applyGrants(
  url: string,
  roles: readonly Role[],
): Promise<readonly MadeRole[]> {
  await using session = openSession(url, { name: "lotline-grants" });
  const { sql } = session;
  await refuseWithoutTables(sql, roles);
  try {
    await sql.unsafe("begin");
    const made = await makeRoles(sql, roles.map(({ name }) => name));
    const { database } = oneRow(
      await sql<{ database: string }[]>`
      select current_database() as database`,
    );
    for (const role of roles) await sql.unsafe(grantsOf(role, database));
    for (const { name, rights } of roles) await refuseLacking(sql, name, rights);
    await sql.unsafe("commit");
    return made;
  } catch (error) {
    await sql.unsafe("rollback").catch(() => {});
    if (!isMissingRight(error) || !(error instanceof Error)) throw error;
    throw new GrantsError(`Nothing was changed: ${error.message}; ${USE_OWNER}`, { cause: error });
  }
}

const USE_OWNER = "use the address of the tables' owner, who needs CREATEROLE to make roles";

async function makeRoles(sql: Sql, names: readonly string[]): Promise<readonly MadeRole[]> {
  const found = await sql<{ name: string }[]>`
    select rolname as name from pg_roles where rolname in ${sql(names)}`;
  const made = names.filter((name) => !found.some((role) => role.name === name))
    .map((name) => ({ name, password: randomBytes(24).toString("base64url") }));
  for (const { name, password } of made) {
    // The server's log may have the statement, so it has no password in plain text.
    await sql.unsafe(
      `create role ${quoted(name)} login password ${literal(scramVerifier(password))}`,
    );
  }
  return made;
}

async function refuseWithoutTables(sql: Sql, roles: readonly Role[]): Promise<void> {
  const tables = roles.flatMap(({ rights }) => rights.onTables.flatMap(({ tables }) => tables));
  const missing = await listMissingTables(sql, tables);
  if (missing.length === 0) return;
  throw new GrantsError(
    `The database lacks ${missing[0]}${missing.length > 1 ? " and other tables" : ""}: ` +
      "run deno task migrate first",
  );
}

/** Instead of an error, PostgreSQL warns when a right was not given. */
async function refuseLacking(sql: Sql, name: string, rights: Rights): Promise<void> {
  const { lacking } = oneRow(await selectLackingRights(sql, rights, name));
  if (lacking.length === 0) return;
  throw new GrantsError(
    `Nothing was changed: ${name} would lack ${lacking.join(", ")}; ${USE_OWNER}`,
  );
}

const ITERATIONS = 4_096;

/** What PostgreSQL stores of a password: https://www.rfc-editor.org/rfc/rfc5803 */
function scramVerifier(password: string, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const keyed = (text: string) => createHmac("sha256", salted).update(text).digest();
  const stored = createHash("sha256").update(keyed("Client Key")).digest();
  return `SCRAM-SHA-256$${ITERATIONS}:${base64(salt)}$${base64(stored)}:${
    base64(keyed("Server Key"))
  }`;
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
