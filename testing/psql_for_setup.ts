/**
 * Where a machine has no psql: executes the statements on standard input, as `psql ADDRESS` does, or
 * shows the rows of one as `psql ADDRESS -Atc STATEMENT` does.
 */

import { connect } from "../db/connect.ts";

const [address = "", option, query] = Deno.args;
const sql = connect({ url: address, max: 1 });
if (option === "-Atc") {
  for (const row of await sql.unsafe(query ?? "").values()) console.log(row.join("|"));
} else {
  const statements = await new Response(Deno.stdin.readable).text();
  // Each by itself: "create database" can't be in a transaction.
  for (const statement of statements.split(";")) {
    if (statement.trim() !== "") await sql.unsafe(statement);
  }
}
await sql.end();
