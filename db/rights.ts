import { z } from "zod";

export type Right = "select" | "insert" | "update" | "delete";

/** Rights on some tables, or on some of their columns alone. */
export interface TableRights {
  /** With their schemas, such as `public.lots`. */
  readonly tables: readonly string[];
  readonly rights: readonly Right[];
  readonly columns?: readonly string[] | undefined;
}

/** All that a process needs of PostgreSQL; its user owns nothing. */
export interface Rights {
  readonly schemas: readonly string[];
  readonly onTables: readonly TableRights[];
  /** Whether it makes temporary tables. */
  readonly temporary?: boolean | undefined;
}

const PLANT = (...names: string[]) => names.map((name) => `public.${name}`);
const LOTLINE = (...names: string[]) => names.map((name) => `lotline.${name}`);

export const API_RIGHTS: Rights = {
  schemas: ["public", "auth", "lotline"],
  onTables: [
    { tables: PLANT("lots", "qc_decisions"), rights: ["select", "insert"] },
    { tables: [...PLANT("lot_genealogy", "users"), ...LOTLINE("accounts")], rights: ["select"] },
    { tables: PLANT("users"), rights: ["update"], columns: ["last_login"] },
    { tables: ["auth.users"], rights: ["select"], columns: ["id", "encrypted_password"] },
    { tables: ["auth.users"], rights: ["update"], columns: ["encrypted_password"] },
    { tables: LOTLINE("revoked_tokens"), rights: ["select", "insert", "delete"] },
    { tables: LOTLINE("long_passwords"), rights: ["select", "insert", "update", "delete"] },
    { tables: LOTLINE("idempotency_keys"), rights: ["select", "insert"] },
    { tables: LOTLINE("idempotency_keys"), rights: ["update"], columns: ["answer"] },
    { tables: LOTLINE("jobs", "traces"), rights: ["select", "insert", "update"] },
    { tables: LOTLINE("trace_chunks", "audits"), rights: ["select", "insert"] },
    {
      tables: LOTLINE("audit_findings", "outbox", "lost_changes", "changed_lots", "noted_losses"),
      rights: ["select"],
    },
  ],
};

export const WORKER_RIGHTS: Rights = {
  schemas: ["public", "lotline"],
  onTables: [
    { tables: PLANT("lots", "lot_genealogy", "qc_decisions"), rights: ["select"] },
    { tables: LOTLINE("lost_changes"), rights: ["select"] },
    { tables: LOTLINE("noted_losses"), rights: ["select", "update"] },
    { tables: LOTLINE("known_database"), rights: ["select", "insert", "update"] },
    {
      tables: LOTLINE("outbox", "jobs", "cron_runs", "traces", "trace_chunks", "changed_lots")
        .concat(LOTLINE("audits", "audit_findings")),
      rights: ["select", "insert", "update", "delete"],
    },
    { tables: LOTLINE("idempotency_keys", "processes"), rights: ["select", "delete"] },
  ],
  temporary: true,
};

const GATEWAY_FILE = new URL("../cutover/rights.json", import.meta.url);

const GatewayRights = z.strictObject({
  schemas: z.array(z.string()),
  onTables: z.array(z.strictObject({
    tables: z.array(z.string()),
    rights: z.array(z.enum(["select", "insert", "update", "delete"])),
  })),
});

/** Those of the gateway; undefined when the folder of the cutover was removed. */
export async function readGatewayRights(): Promise<Rights | undefined> {
  try {
    return GatewayRights.parse(JSON.parse(await Deno.readTextFile(GATEWAY_FILE)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
