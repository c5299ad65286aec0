import type { Rights } from "./rights.ts";
import type { Sql, Statement } from "./sql.ts";

/** Of these tables, such as `public.lots`, those that the database doesn't have. */
export async function listMissingTables(sql: Sql, tables: readonly string[]): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select distinct name from jsonb_array_elements_text(${sql.json([...tables])}) as name
    where not exists (
      select from pg_class c join pg_namespace n on n.oid = relnamespace
      where nspname || '.' || relname = name
    ) order by name`;
  return rows.map(({ name }) => name);
}

/**
 * Of these rights, those that a role doesn't have, such as `insert on public.lots`.
 *
 * @param role the session's own by default
 */
export function selectLackingRights(
  sql: Sql,
  { schemas, onTables, temporary = false }: Rights,
  role: string | null = null,
): Statement<{ lacking: string[] }> {
  const needed = onTables.flatMap(({ tables, rights, columns = [null] }) =>
    tables.flatMap((table) =>
      rights.flatMap((right) => columns.map((column) => ({ table, right, column })))
    )
  );
  return sql<{ lacking: string[] }[]>`
    with role as (
      select oid from pg_roles where rolname = coalesce(${role}::text, current_user::text)
    ), needed as (
      select "table", "right", "column" from jsonb_to_recordset(${sql.json(needed)})
        as needed ("table" text, "right" text, "column" text)
    ), lacking as (
      select 1 as place, 'usage on schema ' || nspname as what
      from pg_namespace cross join role
      where nspname in (select jsonb_array_elements_text(${sql.json([...schemas])}))
        and not has_schema_privilege(role.oid, pg_namespace.oid, 'usage')
      union all
      select 2, format('%s%s on %s', "right", ' (' || "column" || ')', "table")
      from needed cross join role join pg_class on pg_class.oid = (
        select c.oid from pg_class c join pg_namespace n on n.oid = relnamespace
        where nspname || '.' || relname = "table"
      )
      where not case
        when "column" is null then has_table_privilege(role.oid, pg_class.oid, "right")
        else has_column_privilege(role.oid, pg_class.oid, "column", "right") end
      union all
      select 3, 'temporary on this database' from role
      where ${temporary}
        and not has_database_privilege(role.oid, current_database(), 'temporary')
    )
    select coalesce(jsonb_agg(what order by place, what), '[]') as lacking from lacking`;
}
