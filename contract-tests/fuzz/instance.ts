import { join } from "node:path";
import { ROLES } from "../../auth/access.ts";
import { createKeyFile } from "../../auth/keys.ts";
import { hashPassword } from "../../auth/password_work.ts";
import type { AuthMode } from "../../auth/guard.ts";
import { insertAccount, setPasswordHash } from "../../db/accounts.ts";
import type { Sql } from "../../db/sql.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { REQUIRED, startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { insertTree } from "../../testing/genealogy.ts";
import { ownValkey } from "../../testing/own_valkey.ts";
import { startWorker } from "../../testing/worker.ts";

/** A temporary service with all that it needs. Disposing ends and removes it. */
export interface Instance extends AsyncDisposable {
  readonly url: string;
  /** Credentials for each role; empty in `AUTH_MODE=legacy`, where no login is needed. */
  readonly accounts: readonly RoleAccount[];
  /** Ids and codes of rows that a request's field may name, by the field. */
  readonly references: Readonly<Record<string, readonly string[]>>;
  /** Ids and lot codes that a new row can't have. */
  readonly taken: readonly string[];
}

/** An account of the instance with its password. */
export interface RoleAccount {
  readonly role: string;
  readonly email: string;
  readonly password: string;
}

// The account and the password in the contract's example of a login.
const EXAMPLE = {
  id: "00000000-0000-0000-0000-000000000001",
  password: "correct horse battery staple",
};

// A lot with more descendants than a request may trace: 5,113, with 71 children each.
const TREE = { code: "TREE", width: 71 };

/**
 * Starts PostgreSQL, Valkey, the API and a worker, with the rows that the contract's examples name.
 */
export async function startInstance(mode: AuthMode): Promise<Instance> {
  await using starting = new AsyncDisposableStack();
  const database = starting.use(await freshDatabase());
  const seed = await loadSeed();
  await resetToSeed(database.sql, seed);
  await insertTree(database.sql, TREE.code, TREE.width);
  const accounts = mode === "required" ? await addAccounts(database.sql) : [];
  const valkey = starting.use(await ownValkey());
  const folder = await Deno.makeTempDir({ prefix: "lotline-fuzz-" });
  starting.defer(() => Deno.remove(folder, { recursive: true }));
  const keyFile = join(folder, "keys.json");
  await createKeyFile(keyFile);
  const environment = { VALKEY_URL: valkey.server.url };
  starting.use(
    await startWorker({ databaseUrl: database.url, environment }),
  );
  const api = starting.use(
    await startApi({
      databaseUrl: database.url,
      keyFile,
      environment: {
        ...environment,
        ...(mode === "required" && REQUIRED),
        TOKEN_TTL_MINUTES: "720",
        // A run logs in with invalid credentials more often than any client may.
        LOGIN_MAX_FAILURES_PER_ACCOUNT: "1000",
        LOGIN_MAX_FAILURES_PER_ADDRESS: "100000",
      },
    }),
  );
  const running = starting.move();
  const idsOf = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id);
  const references = {
    production_run_id: idsOf(seed.production_runs),
    phase_id: idsOf(seed.phases),
    operator_id: idsOf(seed.users),
    qc_gate_id: idsOf(seed.qc_gates),
    lot_id: idsOf(seed.lots),
    lot_code: seed.lots.map(({ lot_code }) => String(lot_code)),
    large_lot_code: [`${TREE.code}-0`],
  };
  const taken = [...references.lot_id, ...references.lot_code, ...idsOf(seed.qc_decisions)];
  return {
    url: api.url,
    accounts,
    references,
    taken,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function addAccounts(sql: Sql): Promise<RoleAccount[]> {
  await setPasswordHash(sql, EXAMPLE.id, await hashPassword(EXAMPLE.password));
  return await Promise.all(ROLES.map(async (role) => {
    const email = `${role.toLowerCase()}@fuzz.example`;
    const password = crypto.randomUUID();
    const encryptedPassword = await hashPassword(password);
    await insertAccount(sql, {
      id: crypto.randomUUID(),
      email,
      fullName: null,
      role,
      encryptedPassword,
    });
    return { role, email, password };
  }));
}
