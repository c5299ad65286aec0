import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { insertLots } from "../testing/genealogy.ts";
import { findTraces } from "./lots.ts";
import { findUsersByEmail } from "./users.ts";

Deno.test("of several accounts with an email the oldest is found, also beside other emails", async () => {
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

Deno.test("lots are found together as alone, whatever is in their codes", async () => {
  await using it = await freshDatabase();
  const codes = ["null", 'a"b', "a\\b", "{a,b}", "a,b", "é漢😀", "\u0001"];
  await insertLots(it.sql, codes.map((lot_code) => ({ lot_code })));
  const found = await findTraces(it.sql, [...codes, "nowhere"]);
  deepStrictEqual(codes.map((code) => found.get(code)?.central.lot_code), codes);
  strictEqual(found.has("nowhere"), false);
});
