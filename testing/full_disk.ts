import type { Sql } from "../db/sql.ts";

/** Makes every write into a table fail as on a full disk; disposing frees space. */
export async function fullDisk(sql: Sql, table: string) {
  const name = `full_${crypto.randomUUID().replaceAll("-", "")}`;
  await sql.unsafe(`
    create function ${name}() returns trigger language plpgsql as $$ begin
      raise exception 'could not extend file: No space left on device' using errcode = '53100';
    end $$;
    create trigger ${name} before insert or update or delete on ${table} for each row
      execute function ${name}()`);
  return {
    [Symbol.asyncDispose]: async () =>
      void await sql.unsafe(`drop function if exists ${name} cascade`),
  };
}
