import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { freshDatabase, type TestDatabase } from "./database.ts";
import type { Major } from "./postgres_servers.ts";

/**
 * The old server's tables as PostgreSQL's catalogs describe them, each column and each constraint a
 * line. Written from the description of the old server and not from our migration, so that the two
 * can be compared.
 */
export const OLD_TABLES: Readonly<
  Record<string, { columns: readonly string[]; constraints: readonly string[] }>
> = {
  "auth.users": {
    columns: [
      "id uuid default uuid_generate_v4() not null",
      "email text",
      "encrypted_password text",
      "created_at timestamp with time zone default now()",
    ],
    constraints: [
      "users_email_key UNIQUE (email)",
      "users_pkey PRIMARY KEY (id)",
    ],
  },
  users: {
    columns: [
      "id uuid not null",
      "email text not null",
      "full_name text",
      "role text default 'VIEWER'::text",
      "created_at timestamp with time zone default now()",
      "last_login timestamp with time zone",
    ],
    constraints: [
      "users_id_fkey FOREIGN KEY (id) REFERENCES auth.users(id)",
      "users_pkey PRIMARY KEY (id)",
      "users_role_check CHECK ((role = ANY (ARRAY['ADMIN'::text, 'MANAGER'::text, " +
      "'AUDITOR'::text, 'OPERATOR'::text, 'VIEWER'::text])))",
    ],
  },
  scenarios: {
    columns: [
      "id uuid default uuid_generate_v4() not null",
      "name jsonb not null",
      "version text not null",
      "config jsonb default '{}'::jsonb not null",
      "i18n jsonb default '{}'::jsonb not null",
      "is_active boolean default false",
      "created_at timestamp with time zone default now()",
    ],
    constraints: ["scenarios_pkey PRIMARY KEY (id)"],
  },
  streams: {
    columns: [
      "id uuid default uuid_generate_v4() not null",
      "scenario_id uuid",
      "stream_key text not null",
      "name jsonb not null",
      "color text not null",
      "sort_order integer not null",
    ],
    constraints: [
      "streams_pkey PRIMARY KEY (id)",
      "streams_scenario_id_fkey FOREIGN KEY (scenario_id) REFERENCES scenarios(id) " +
      "ON DELETE CASCADE",
    ],
  },
  qc_gates: {
    columns: [
      "id uuid default uuid_generate_v4() not null",
      "scenario_id uuid",
      "gate_number integer not null",
      "name jsonb not null",
      "gate_type text",
      "is_ccp boolean default false",
      "checklist jsonb default '[]'::jsonb not null",
    ],
    constraints: [
      "qc_gates_gate_type_check CHECK ((gate_type = ANY (ARRAY['CHECKPOINT'::text, " +
      "'BLOCKING'::text, 'INFO'::text])))",
      "qc_gates_pkey PRIMARY KEY (id)",
      "qc_gates_scenario_id_fkey FOREIGN KEY (scenario_id) REFERENCES scenarios(id) " +
      "ON DELETE CASCADE",
    ],
  },
  phases: {
    columns: [
      "id uuid default uuid_generate_v4() not null",
      "scenario_id uuid",
      "stream_id uuid",
      "qc_gate_id uuid",
      "phase_number integer not null",
      "name jsonb not null",
      "description jsonb not null",
    ],
    constraints: [
      "phases_pkey PRIMARY KEY (id)",
      "phases_qc_gate_id_fkey FOREIGN KEY (qc_gate_id) REFERENCES qc_gates(id)",
      "phases_scenario_id_fkey FOREIGN KEY (scenario_id) REFERENCES scenarios(id) " +
      "ON DELETE CASCADE",
      "phases_stream_id_fkey FOREIGN KEY (stream_id) REFERENCES streams(id)",
    ],
  },
  production_runs: {
    columns: [
      "id uuid default uuid_generate_v4() not null",
      "run_code text not null",
      "scenario_id uuid",
      "operator_id uuid",
      "status text default 'ACTIVE'::text",
      "daily_target_kg numeric",
      "started_at timestamp with time zone default now()",
      "ended_at timestamp with time zone",
      "summary jsonb",
    ],
    constraints: [
      "production_runs_operator_id_fkey FOREIGN KEY (operator_id) REFERENCES users(id)",
      "production_runs_pkey PRIMARY KEY (id)",
      "production_runs_run_code_key UNIQUE (run_code)",
      "production_runs_scenario_id_fkey FOREIGN KEY (scenario_id) REFERENCES scenarios(id)",
      "production_runs_status_check CHECK ((status = ANY (ARRAY['ACTIVE'::text, " +
      "'COMPLETED'::text, 'CANCELLED'::text])))",
    ],
  },
  lots: {
    columns: [
      "id uuid default uuid_generate_v4() not null",
      "lot_code text not null",
      "lot_type text",
      "production_run_id uuid",
      "phase_id uuid",
      "operator_id uuid",
      "weight_kg numeric",
      "temperature_c numeric",
      "metadata jsonb default '{}'::jsonb",
      "created_at timestamp with time zone default now()",
    ],
    constraints: [
      "lots_lot_code_key UNIQUE (lot_code)",
      "lots_lot_type_check CHECK ((lot_type = ANY (ARRAY['RAW'::text, 'DEB'::text, " +
      "'BULK'::text, 'MIX'::text, 'SKW'::text, 'FRZ'::text, 'FG'::text])))",
      "lots_operator_id_fkey FOREIGN KEY (operator_id) REFERENCES users(id)",
      "lots_phase_id_fkey FOREIGN KEY (phase_id) REFERENCES phases(id)",
      "lots_pkey PRIMARY KEY (id)",
      "lots_production_run_id_fkey FOREIGN KEY (production_run_id) " +
      "REFERENCES production_runs(id)",
    ],
  },
  lot_genealogy: {
    columns: [
      "id uuid default uuid_generate_v4() not null",
      "parent_lot_id uuid",
      "child_lot_id uuid",
      "quantity_used_kg numeric",
      "linked_at timestamp with time zone default now()",
    ],
    constraints: [
      "lot_genealogy_child_lot_id_fkey FOREIGN KEY (child_lot_id) REFERENCES lots(id)",
      "lot_genealogy_parent_lot_id_fkey FOREIGN KEY (parent_lot_id) REFERENCES lots(id)",
      "lot_genealogy_pkey PRIMARY KEY (id)",
    ],
  },
  qc_decisions: {
    columns: [
      "id uuid default uuid_generate_v4() not null",
      "lot_id uuid",
      "qc_gate_id uuid",
      "operator_id uuid",
      "decision text",
      "notes text",
      "temperature_c numeric",
      "digital_signature text",
      "decided_at timestamp with time zone default now()",
    ],
    constraints: [
      "qc_decisions_decision_check CHECK ((decision = ANY (ARRAY['PASS'::text, " +
      "'HOLD'::text, 'FAIL'::text])))",
      "qc_decisions_lot_id_fkey FOREIGN KEY (lot_id) REFERENCES lots(id)",
      "qc_decisions_operator_id_fkey FOREIGN KEY (operator_id) REFERENCES users(id)",
      "qc_decisions_pkey PRIMARY KEY (id)",
      "qc_decisions_qc_gate_id_fkey FOREIGN KEY (qc_gate_id) REFERENCES qc_gates(id)",
    ],
  },
};

/**
 * A database as the old server leaves it: its ten tables, empty, made without our migrations.
 * `extensionSchema` is the schema of uuid-ossp.
 */
export async function oldDatabase(
  options: { major?: Major; extensionSchema?: string } = {},
): Promise<TestDatabase> {
  const database = await freshDatabase({ major: options.major ?? 15, migrated: false });
  const sql = connect({ url: database.url, max: 1 });
  await buildOldTables(sql, options.extensionSchema ?? "public");
  await sql.end();
  return database;
}

async function buildOldTables(sql: Sql, extensionSchema: string): Promise<void> {
  await sql`create schema if not exists ${sql(extensionSchema)}`;
  await sql`create extension "uuid-ossp" with schema ${sql(extensionSchema)}`;
  await sql`create schema auth`;
  await sql`select set_config('search_path', ${`public, ${extensionSchema}`}, false)`;
  for (const [table, { columns, constraints }] of Object.entries(OLD_TABLES)) {
    const lines = [...columns, ...constraints.map((constraint) => `constraint ${constraint}`)];
    await sql.unsafe(`create table ${table} (${lines.join(", ")})`);
  }
}
