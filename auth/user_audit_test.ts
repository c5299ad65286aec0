import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { taskOutput } from "../testing/task_output.ts";
import { hashPassword } from "./password_work.ts";

/** Runs `deno task user audit` on a database. */
async function audit(databaseUrl: string) {
  const { code, output } = await taskOutput(["user", "audit"], { DATABASE_URL: databaseUrl });
  return { code, output };
}

const PASSWORD = "correct horse battery";

Deno.test("audit names everybody whom required would lock out, and exits with 0 when nobody is left", async () => {
  await using other = await freshDatabase();
  const insert = async (email: string, hash: string | null, role: string | null) => {
    const id = crypto.randomUUID();
    await other.sql`insert into auth.users (id, encrypted_password) values (${id}, ${hash})`;
    await other.sql`insert into users (id, email, role) values (${id}, ${email}, ${role})`;
    return id;
  };
  const good = await hashPassword(PASSWORD);
  await insert("a-good@plant.example", good, "OPERATOR");
  deepStrictEqual(await audit(other.url), {
    code: 0,
    output: "Every account has a password and a role of its own.",
  });

  const older = await insert("b-doubled@plant.example", good, "ADMIN");
  const younger = await insert("b-doubled@plant.example", good, "ADMIN");
  const open = await insert("c-open@plant.example", null, null);
  const odd = await insert("d-odd@plant.example", "{SSHA}abc", "VIEWER");
  const gone = await insert("e-gone@plant.example", good, "VIEWER");
  await other.sql`update users set created_at = now() - interval '1 day' where id = ${older}`;
  await other.sql`insert into lotline.accounts (user_id, disabled_at) values (${gone}, now())`;
  const { code, output } = await audit(other.url);
  strictEqual(code, 1);
  deepStrictEqual(output.split("\n"), [
    `b-doubled@plant.example  ${younger}  can't log in: an older account has this email`,
    `c-open@plant.example  ${open}  no password`,
    `c-open@plant.example  ${open}  no role`,
    `d-odd@plant.example  ${odd}  a password that can't be checked (no bcrypt)`,
    `e-gone@plant.example  ${gone}  disabled`,
  ]);
});

Deno.test("audit reports emails that differ only in case, and how many passwords were too long", async () => {
  await using other = await freshDatabase();
  const hash = await hashPassword(PASSWORD, 4);
  const emails = [
    "\u00e4nne@plant.example",
    "a\u0308nne@plant.example",
    "admin@plant.example",
    "\u0430dmin@plant.example",
    "bert@plant.example",
    "Bert@plant.example",
    "carla@plant.example",
    "car\u200bla@plant.example",
    "dora@plant.example",
    "dora@plant.example ",
    "Ida@plant.example",
    "lda@plant.example",
    "josé@plant.example",
    "jose@plant.example",
  ];
  const ids = new Map<string, string>();
  for (const email of emails) {
    const id = crypto.randomUUID();
    ids.set(email, id);
    await other.sql`insert into auth.users (id, encrypted_password) values (${id}, ${hash})`;
    await other.sql`insert into users (id, email, role) values (${id}, ${email}, 'VIEWER')`;
  }
  const long = ids.get("jose@plant.example") ?? "";
  await other.sql`insert into lotline.long_passwords (user_id, typed_at) values
    (${long}, now() - interval '89 days'),
    (${ids.get("josé@plant.example") ?? ""}, now() - interval '91 days')`;
  const { code, output } = await audit(other.url);
  strictEqual(code, 1);
  const lines = output.split("\n");
  const pairs = lines.flatMap((line) => {
    const found = /its email, (\S+), looks like (\S+)$/.exec(line);
    return found === null ? [] : [`${found[1]} ${found[2]}`];
  });
  deepStrictEqual(pairs.sort(), [
    "Bert@plant.example bert@plant.example",
    "Ida@plant.example lda@plant.example",
    "\\u{430}dmin@plant.example admin@plant.example",
    "\\u{e4}nne@plant.example a\\u{308}nne@plant.example",
    "a\\u{308}nne@plant.example \\u{e4}nne@plant.example",
    "admin@plant.example \\u{430}dmin@plant.example",
    "bert@plant.example Bert@plant.example",
    "car\\u{200b}la@plant.example carla@plant.example",
    "carla@plant.example car\\u{200b}la@plant.example",
    "dora@plant.example dora@plant.example\\u{20}",
    "dora@plant.example\\u{20} dora@plant.example",
    "lda@plant.example Ida@plant.example",
  ]);
  deepStrictEqual(lines.filter((line) => !line.includes("looks like")), [
    `jose@plant.example  ${long}  a password of over 72 bytes: set a new one`,
    "1 of 14 accounts typed a password of over 72 bytes in the last 90 days; a hash doesn't tell, " +
    "so others may have one and not have logged in.",
  ]);
});
