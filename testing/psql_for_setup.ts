/** Executes the statements on standard input, as `psql ADDRESS` does, where a machine has no psql. */

import { connect } from "../db/connect.ts";

const sql = connect({ url: Deno.args[0] ?? "", max: 1 });
const statements = await new Response(Deno.stdin.readable).text();
// Each by itself: "create database" can't be in a transaction.
for (const statement of statements.split(";")) {
  if (statement.trim() !== "") await sql.unsafe(statement);
}
await sql.end();
