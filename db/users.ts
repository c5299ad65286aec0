import type { components } from "../contract/types.gen.ts";
import type { Sql } from "./sql.ts";
import { runPrepared } from "./query_deadline.ts";
import { textArray } from "./text_array.ts";

/** A row of `users` as answers show it. */
export type User = components["schemas"]["User"];

/** The columns of `users` with their types, in the order in which answers show them. */
export const USER_COLUMNS = {
  id: "uuid",
  email: "text",
  full_name: "text",
  role: "text",
  created_at: "timestamptz",
  last_login: "timestamptz",
} as const;

const FIND_USERS = `
  select distinct on (email) ${Object.keys(USER_COLUMNS)} from users
  where email = any($1::text::text[]) order by email, created_at, id`;

/** The accounts with exactly these emails (case matters), by email; of several, the oldest. */
export async function findUsersByEmail(
  sql: Sql,
  emails: readonly string[],
  deadlineMs?: number,
): Promise<ReadonlyMap<string, User>> {
  const users = await runPrepared<User>(sql, FIND_USERS, [textArray(emails)], deadlineMs);
  return new Map(users.map((user) => [user.email, user]));
}
