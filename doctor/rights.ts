import { oneRow } from "../db/one_row.ts";
import { problem } from "../db/problems.ts";
import { timed } from "../db/query_deadline.ts";
import type { DatabaseCheck } from "./checks.ts";
import { failure, ok } from "./findings.ts";

type Right = "select" | "insert" | "update" | "delete";

interface Rights {
  readonly schemas: readonly string[];
  /** Tables and the rights on them; of a right for one column, the column too. */
  readonly tables: readonly (readonly [tables: string[], rights: Right[], column?: string])[];
  readonly temporary?: boolean;
}

const LOTLINE = (...names: string[]) => names.map((name) => `lotline.${name}`);
const PLANT = (...names: string[]) => names.map((name) => `public.${name}`);

/** The grants in docs/security.md; a test compares them. */
const API: Rights = {
  schemas: ["public", "auth", "lotline"],
  tables: [
    [PLANT("lots", "qc_decisions"), ["select", "insert"]],
    [[...PLANT("lot_genealogy", "users"), ...LOTLINE("accounts")], ["select"]],
    [PLANT("users"), ["update"], "last_login"],
    [["auth.users"], ["select"], "id"],
    [["auth.users"], ["select", "update"], "encrypted_password"],
    [LOTLINE("revoked_tokens"), ["select", "insert", "delete"]],
    [LOTLINE("long_passwords"), ["select", "insert", "update", "delete"]],
    [LOTLINE("idempotency_keys"), ["select", "insert"]],
    [LOTLINE("idempotency_keys"), ["update"], "answer"],
    [LOTLINE("jobs", "traces", "trace_chunks", "audits"), ["select", "insert"]],
    [LOTLINE("jobs", "traces"), ["update"]],
    [LOTLINE("audit_findings", "outbox", "lost_changes", "changed_lots", "noted_losses"), [
      "select",
    ]],
  ],
};

const WORKER: Rights = {
  schemas: ["public", "lotline"],
  tables: [
    [PLANT("lots", "lot_genealogy", "qc_decisions"), ["select"]],
    [LOTLINE("lost_changes"), ["select"]],
    [LOTLINE("noted_losses"), ["select", "update"]],
    [
      LOTLINE("outbox", "jobs", "cron_runs", "traces", "trace_chunks", "changed_lots", "audits")
        .concat(LOTLINE("audit_findings")),
      ["select", "insert", "update", "delete"],
    ],
    [LOTLINE("idempotency_keys", "processes"), ["select", "delete"]],
  ],
  temporary: true,
};

/** What the user of DATABASE_URL lacks, as the API or, without the API's settings, as the worker. */
export const rights: DatabaseCheck = {
  name: "rights",
  needs: "schema",
  async run({ sql, settings }) {
    const [program, needed] = settings.isOfApi ? ["the API", API] as const : ["the worker", WORKER];
    const tables = needed.tables.flatMap(([names, rights, column = null]) =>
      names.flatMap((table) => rights.map((right) => ({ table, right, column })))
    );
    const rows = await timed(sql)<{ lacking: string[] }[]>`
      with needed as (
        select "table", "right", "column" from jsonb_to_recordset(${sql.json(tables)})
          as needed ("table" text, "right" text, "column" text)
      ), lacking as (
        select 1 as place, 'usage on schema ' || nspname as what
        from pg_namespace
        where nspname in (
            select jsonb_array_elements_text(${sql.json([...needed.schemas])})
          ) and not has_schema_privilege(oid, 'usage')
        union all
        select 2, format('%s%s on %s', "right", ' (' || "column" || ')', "table")
        from needed join pg_class on oid = (
          select c.oid from pg_class c join pg_namespace n on n.oid = relnamespace
          where nspname || '.' || relname = "table"
        )
        where not case when "column" is null then has_table_privilege(oid, "right")
          else has_column_privilege(oid, "column", "right") end
        union all
        select 3, 'temporary on this database'
        where ${needed.temporary ?? false}
          and not has_database_privilege(current_database(), 'temporary')
      )
      select coalesce(jsonb_agg(what order by place, what), '[]') as lacking from lacking`;
    const { lacking } = oneRow(rows);
    if (lacking.length === 0) return [ok("rights", `The database's user has ${program}'s rights`)];
    return [
      failure(
        "rights",
        `The database's user lacks rights that ${program} needs: ${lacking.join(", ")}`,
        problem("no_right").todo,
      ),
    ];
  },
};
