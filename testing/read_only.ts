import type { TestDatabase } from "./database.ts";

/**
 * The same database by another text: when its connections leave their server, those of the test's own
 * address stay.
 */
export const otherAddress = ({ url }: Pick<TestDatabase, "url">) => `${url}?sslmode=disable`;

/**
 * Makes a database read-only for the connections that are opened meanwhile. They stay read-only after
 * `end`, as connections to a demoted server do when its address leads to another one.
 */
export async function makeReadOnly({ sql }: TestDatabase): Promise<{ end(): Promise<void> }> {
  const [row] = await sql<{ name: string }[]>`select current_database() as name`;
  const database = `alter database ${row?.name}`;
  await sql.unsafe(`${database} set default_transaction_read_only = on`);
  return {
    async end() {
      await sql.unsafe(`${database} reset default_transaction_read_only`);
    },
  };
}
