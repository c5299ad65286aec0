import type { components } from "../contract/types.gen.ts";
import type { Sql } from "./connect.ts";
import { inTime } from "./in_time.ts";

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

const FIND_USER = `
  select ${Object.keys(USER_COLUMNS)} from users
  where email = $1 order by created_at, id limit 1`;

/** The account with exactly this email; letters matter. Of several, the oldest. */
export async function findUserByEmail(sql: Sql, email: string): Promise<User | undefined> {
  const [user] = await inTime(sql, sql.unsafe<User[]>(FIND_USER, [email], { prepare: true }));
  return user;
}
