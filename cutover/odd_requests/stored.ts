import type { Sql } from "../../db/sql.ts";
import { fieldsOf } from "../compare/conditions.ts";
import type { Difference } from "../evidence/evidence.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { loadSeed } from "../../dev/seed.ts";

/** A row that a request has stored. */
export interface StoredRow {
  readonly id: string;
  readonly code: string | null;
  /** Each column's value as PostgreSQL writes it. */
  readonly values: Readonly<Record<string, string | null>>;
}

/** The rows that an operation stores in addition to the seed's. */
export interface Stored {
  rows(sql: Sql): Promise<readonly StoredRow[]>;
  /** Removes them, and the keys of requests that may be repeated. */
  forget(sql: Sql): Promise<void>;
}

const TABLES: Partial<Record<LegacyOperation, "lots" | "qc_decisions">> = {
  createLot: "lots",
  createQcDecision: "qc_decisions",
};

/** Reads the rows that an operation stored; an operation that stores nothing has none. */
export async function storedBy(operation: LegacyOperation): Promise<Stored> {
  const table = TABLES[operation];
  if (table === undefined) {
    return { rows: () => Promise.resolve([]), forget: () => Promise.resolve() };
  }
  const seedIds = (await loadSeed())[table].map(({ id }) => id);
  // As JSON, since not every pool can write a list of UUIDs.
  const isNew = (sql: Sql) =>
    sql`id::text not in (select jsonb_array_elements_text(${sql.json(seedIds)}))`;
  return {
    rows: (sql) =>
      sql<StoredRow[]>`
        select id, to_jsonb(row)->>'lot_code' as code,
          (select jsonb_object_agg(key, value) from jsonb_each_text(to_jsonb(row))) as values
        from ${sql(table)} row where ${isNew(sql)}`,
    async forget(sql) {
      await sql`delete from ${sql(table)} where ${isNew(sql)}`;
      await sql`delete from lotline.idempotency_keys`;
    },
  };
}

const GENERATED: readonly string[] = ["id", "created_at", "decided_at"];

/** The differences between the rows that a request has stored: a refused one stores none. */
export function storedDifferences(
  { request, legacy, service }: {
    readonly request: CapturedRequest;
    readonly legacy: CapturedResponse;
    readonly service: CapturedResponse;
  },
  was: readonly StoredRow[],
  is: readonly StoredRow[],
): readonly Difference[] {
  if (service.status >= 400 && is.length > 0) return [{ place: "rows of a refused request" }];
  if (legacy.status >= 400 || service.status >= 400) return [];
  if (was.length !== is.length) {
    return [{ place: "rows", legacy: String(was.length), service: String(is.length) }];
  }
  const named = fieldsOf(request) ?? {};
  const [own, other] = [was[0]?.values ?? {}, is[0]?.values ?? {}];
  const differing = Object.keys(own).filter((column) =>
    own[column] !== other[column] && (!GENERATED.includes(column) || Object.hasOwn(named, column))
  );
  return differing.map((column) => ({
    place: column,
    legacy: String(own[column]),
    service: String(other[column]),
  }));
}
