import { oneRow } from "./one_row.ts";
import type { Step } from "./migrations.ts";
import type { Sql } from "./sql.ts";

/** Tables of the old server that steps put an index or a trigger on. */
const CHANGED = /\bon (lots|lot_genealogy|qc_decisions)\b/g;

/** What a user may not do that steps need. */
interface Lacking {
  readonly what: string;
  /** Who may. */
  readonly owner: string;
}

/**
 * Says in a sentence why the session's user can't apply these steps; undefined when it can. It looks
 * before the first step: a later one would fail with the first ones applied.
 */
export async function missingRights(
  sql: Sql,
  steps: readonly Step[],
): Promise<string | undefined> {
  const changed = new Set(
    steps.flatMap(({ statements }) =>
      [...statements.matchAll(CHANGED)].map(([, name = ""]) => name)
    ),
  );
  // Even "if not exists" needs the right to create.
  const makesTables = steps.some(({ statements }) =>
    /^create table if not exists \w+ /m.test(statements)
  );
  const { user, owned, created } = oneRow(
    await sql<{ user: string; owned: Lacking[]; created: Lacking[] }[]>`
      with owned as (
        select format('schema %s', nspname) as what, nspowner as owner
        from pg_namespace where nspname = 'lotline'
        union all
        select relname, relowner
        from pg_class where oid in (
          select to_regclass(name) from jsonb_array_elements_text(${sql.json([...changed])}) as name
        )
      ), created as (
        select format('create on database %s', datname) as what, datdba as owner
        from pg_database
        where datname = current_database() and to_regnamespace('lotline') is null
          and not has_database_privilege(oid, 'create')
        union all
        -- Its owner stands for that of the database.
        select 'create on schema public', case pg_get_userbyid(nspowner)
          when 'pg_database_owner' then datdba else nspowner end
        from pg_namespace, pg_database
        where datname = current_database() and nspname = 'public' and ${makesTables}
          and not has_schema_privilege(pg_namespace.oid, 'create')
      )
      select current_user::text as "user",
        (select coalesce(jsonb_agg(jsonb_build_object(
            'what', what, 'owner', pg_get_userbyid(owner)) order by what), '[]')
          from owned where not pg_has_role(owner, 'usage')) as owned,
        (select coalesce(jsonb_agg(jsonb_build_object(
            'what', what, 'owner', pg_get_userbyid(owner)) order by what), '[]')
          from created) as created`,
  );
  const listed = created.map(({ what }) => what);
  if (owned.length > 0) {
    const lacking = [`ownership of ${owned.map(({ what }) => what).join(", ")}`, ...listed];
    const owners = ownersOf(owned);
    return `migrate needs the owner of the tables, ${owners}, and was started as ${user}, which lacks ` +
      lacking.join(", and ");
  }
  if (created.length === 0) return undefined;
  return `migrate was started as ${user}, which lacks ${listed.join(" and ")}: ` +
    `${ownersOf(created)} can grant it`;
}

const ownersOf = (lacking: readonly Lacking[]) =>
  [...new Set(lacking.map(({ owner }) => owner))].join(" and ");

/** The end of a sentence about a step that failed since its user lacks a right. */
export async function ownerNeeded(sql: Sql): Promise<string> {
  const { user } = oneRow(await sql<{ user: string }[]>`select current_user::text as "user"`);
  return `: migrate needs the owner of the tables and of schema lotline, and was started as ${user}`;
}
