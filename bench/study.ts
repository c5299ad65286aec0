/**
 * Measurements of Lotline alone, beside the comparisons: what they are given and what they tell.
 *
 * @module
 */

import { join } from "node:path";
import { connect } from "../db/connect.ts";
import { startLotline } from "./servers.ts";
import type { Measured } from "./costs.ts";
import { type Plant, startPlant } from "./plant.ts";

/** What a measurement found. */
export interface Report {
  /** For people: Markdown. */
  readonly text: string;
  /** For programs: every single figure. */
  readonly figures: Readonly<Record<string, unknown>>;
  /** What `--record` keeps of it; nothing when it can't be recorded. */
  readonly recorded?: Readonly<Record<string, unknown>>;
  /** The share of the machine, from 0 to 1, that other programs took, run by run. */
  readonly takenByOthers: readonly number[];
}

export interface StudyOptions {
  readonly rounds: number;
  /** How long a run takes, a whole number; the study's own choice unless said. */
  readonly seconds?: number;
  /** How many requests are sent, where a study goes by that; its own choice unless said. */
  readonly requests?: number;
  /** The path of wrk. */
  readonly wrk: string;
  /** An existing folder for databases and logs; what is put there is left there. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

/** A measurement of Lotline alone. */
export interface Study {
  readonly name: string;
  run(options: StudyOptions): Promise<Report>;
}

/** Lotline in `AUTH_MODE=required` on the demo plant. Disposing stops it and its database. */
export interface GuardedPlant extends Measured, AsyncDisposable {
  readonly url: string;
  readonly plant: Plant;
  /** Makes accounts of operators; gives their emails, which are all of the same length. */
  addAccounts(count: number, passwordHash: string | null): Promise<string[]>;
}

/**
 * Starts it. Its limits on failed logins are as high as they can be set: what is measured is what a
 * login costs that gets past them. Each try may name its own client address in `X-Forwarded-For`.
 */
export async function startGuardedPlant(
  { folder, say }: Pick<StudyOptions, "folder" | "say">,
): Promise<GuardedPlant> {
  await using stack = new AsyncDisposableStack();
  say("Starting PostgreSQL 17 and filling the demo plant");
  const server = stack.use(await startPlant(folder));
  const databaseUrl = await server.copy("lotline");
  const sql = stack.adopt(
    connect({ url: databaseUrl, max: 1, name: "lotline-bench" }),
    (sql) => sql.end({ timeout: 1 }),
  );
  say("Starting: Lotline, AUTH_MODE=required");
  const place = { databaseUrl, folder: join(folder, "lotline") };
  await Deno.mkdir(place.folder);
  const lotline = stack.use(
    await startLotline(place, {
      AUTH_MODE: "required",
      CORS_ORIGINS: "none",
      TRUSTED_PROXIES: "127.0.0.1",
      LOGIN_TRIES_PER_ACCOUNT: "1000",
      LOGIN_TRIES_PER_ADDRESS: "100000",
    }),
  );
  const parts = stack.move();
  return {
    serverPids: [lotline.pid],
    databasePid: server.pid,
    url: lotline.url,
    plant: server.plant,
    async addAccounts(count, passwordHash) {
      const accounts = Array.from({ length: count }, () => {
        const id = crypto.randomUUID();
        return { id, email: `${id}@plant.example` };
      });
      await sql`
        with account as (
          select * from jsonb_to_recordset(${sql.json(accounts)}) as sent (id uuid, email text)
        ), secret as (
          insert into auth.users (id, encrypted_password)
          select id, ${passwordHash}::text from account
        )
        insert into users (id, email, role) select id, email, 'OPERATOR' from account`;
      return accounts.map(({ email }) => email);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
