import type { Address } from "../db/address.ts";
import type { Sql } from "../db/sql.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { Settings } from "./settings.ts";

type Findings = Promise<readonly Finding[]> | readonly Finding[];

/** A check that needs no database. */
export interface LocalCheck {
  readonly name: string;
  run(settings: Settings): Findings;
}

/** What a check of the database uses. */
export interface DatabaseDeps {
  readonly settings: Settings;
  readonly databaseUrl: string;
  readonly address: Address;
  readonly sql: Sql;
}

export interface DatabaseCheck {
  readonly name: string;
  /** `schema`: it reads tables of Lotline's own; `primary`: also those that a standby lacks. */
  readonly needs: "nothing" | "schema" | "primary";
  run(deps: DatabaseDeps): Findings;
}
