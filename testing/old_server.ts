import type { TestDatabase } from "./database.ts";

/**
 * New connections to the database see the version number of another PostgreSQL: only 15 and 17 are there
 * for the tests.
 */
export async function pretendVersion({ sql }: TestDatabase, versionNum: number): Promise<void> {
  const [row] = await sql<{ name: string }[]>`select current_database() as name`;
  await sql.unsafe(`
    create function public.current_setting(text) returns text language sql as $$
      select case $1 when 'server_version_num' then '${versionNum}'
        else pg_catalog.current_setting($1) end $$;
    alter database ${row?.name} set search_path = public, pg_catalog`).simple();
}
