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
  /** Whether it reads tables of Lotline's own. */
  readonly needsSchema: boolean;
  run(deps: DatabaseDeps): Findings;
}
