import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { Sql } from "../db/sql.ts";
import { ErrorResponse } from "../routes/responses.ts";
import type { TestResponse } from "./api.ts";
import { dump, dumpChanges } from "./dump.ts";
import type { TokenMaker } from "./tokens.ts";

export const PATHS = ["/api/lots", "/api/qc-decisions", "/api/traces", "/api/audits"] as const;
export type Path = typeof PATHS[number];

let questions = 0;
/** A request to each operation that stores something; lots and questions are new ones each time. */
export const bodyOf = (path: Path): Record<string, unknown> => ({
  "/api/lots": {
    lot_code: `LOT-${crypto.randomUUID()}`,
    weight_kg: "540.0",
    temperature_c: 1.5,
    metadata: { b: [1.50, null, { é: "\u2028" }], a: 1e-7 },
    created_at: "2026-01-19T10:11:12.345678+02:00",
  },
  "/api/qc-decisions": { decision: "HOLD", temperature_c: "-0.10", notes: "Ködös" },
  "/api/traces": { lot_code: "CHAIN-1", direction: "both", at_most: 100 + questions++ },
  "/api/audits": {},
}[path]);

export const newKey = () => ({ "idempotency-key": crypto.randomUUID() });

/** What of a response is the same each time. */
export function kept({ status, headers, text }: TestResponse) {
  const same = ["content-type", "etag", "location"].map((name) => headers.get(name));
  return { status, same, text };
}

export const isReplay = ({ headers }: TestResponse) =>
  headers.get("idempotency-replayed") === "true";

export function isRefused(response: TestResponse, status: number, error: RegExp): void {
  strictEqual(response.status, status, response.text);
  match(ErrorResponse.parse(response.json).error, error);
  ok(!isReplay(response));
}

/** Makes accounts, each with its role and a new token for each request. */
export function accountsOf(sql: Sql, maker: TokenMaker) {
  return async (role = "MANAGER") => {
    const id = crypto.randomUUID();
    await sql`insert into auth.users (id) values (${id})`;
    await sql`insert into users (id, email, role) values (${id}, ${`${id}@example.com`}, ${role})`;
    const bearer = () => ({ authorization: `Bearer ${maker.good({ id, role })}` });
    return { id, bearer };
  };
}

/** Asserts that the work leaves every row as it was. */
export async function leavesUnchanged(sql: Sql, work: () => Promise<void>): Promise<void> {
  const before = await dump(sql);
  await work();
  deepStrictEqual(dumpChanges(before, await dump(sql)), { gone: [], added: [] });
}
