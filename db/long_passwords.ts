import type { Sql } from "./sql.ts";
import { timed } from "./query_deadline.ts";

/** How long it is stored that an account's password was too long, in days. */
export const KEEP_DAYS = 90;

/** Stores that a password with more bytes than can be checked was typed for an account. */
export async function recordLongPassword(sql: Sql, userId: string): Promise<void> {
  await timed(sql)`
    with forgotten as (
      delete from lotline.long_passwords
      where typed_at < now() - make_interval(days => ${KEEP_DAYS}) and user_id <> ${userId}
    )
    insert into lotline.long_passwords (user_id) values (${userId})
    on conflict (user_id) do update set typed_at = excluded.typed_at`;
}
