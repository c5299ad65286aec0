import { deepStrictEqual, rejects } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { insertLots } from "../testing/genealogy.ts";
import { findBatched } from "./batched_query.ts";
import { findTraces, LARGE_TRACE } from "./lots.ts";
import { findUsersByEmail } from "./users.ts";

Deno.test("a key that PostgreSQL can't read fails by itself, the others of its batch are found", async () => {
  await using it = await freshDatabase();
  await insertLots(it.sql, [{ lot_code: "A" }, { lot_code: "C" }]);
  const requested: (readonly string[])[] = [];
  const find = findBatched(it.sql, (sql, codes) => {
    requested.push(codes);
    return findTraces(sql, codes);
  });
  const bad = rejects(find("B\0"), { code: "22021" });
  const found = await Promise.all([find("A"), find("C"), find("nowhere")]);
  await bad;
  deepStrictEqual(
    found.map((trace) => trace === LARGE_TRACE ? undefined : trace?.central.lot_code),
    ["A", "C", undefined],
  );
  deepStrictEqual(requested[0], ["B\0", "A", "C", "nowhere"]);
});

Deno.test("of several accounts with an email the oldest is found, also in a batch with other emails", async () => {
  await using it = await freshDatabase();
  const account = (id: number, email: string, at: string) =>
    it.sql`
    insert into users (id, email, role, created_at) values
      (${`00000000-0000-4000-8000-00000000000${id}`}, ${email}, 'OPERATOR', ${at})`;
  await it.sql`alter table users drop constraint users_id_fkey`;
  await account(1, "a@plant.example", "2026-01-02");
  await account(2, "a@plant.example", "2026-01-01");
  await account(3, "A@plant.example", "2025-01-01");
  await account(4, "b@plant.example", "2026-01-01");
  const emails = ["b@plant.example", "a@plant.example", "nobody@plant.example"];
  const users = await findUsersByEmail(it.sql, emails);
  deepStrictEqual(emails.map((email) => users.get(email)?.id.at(-1)), ["4", "2", undefined]);
});
