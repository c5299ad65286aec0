import { hasOffset, ISO_MOMENT_PATTERN } from "../contract/moments.ts";
import { readMoment } from "../db/moments.ts";
import { isUtc } from "../db/zone_names.ts";
import type { RouteDeps } from "./deps.ts";

/**
 * The time to store with a write. PostgreSQL reads what the contract does not spell out, so that
 * nothing outside the years 0001 to 9999 is stored, and a time without an offset in the time zone of
 * the plant.
 *
 * @throws {ApiError} 422 no time in these years
 */
export async function momentOfWrite<Moment extends string | null | undefined>(
  { sql, timeZone }: Pick<RouteDeps, "sql" | "timeZone">,
  field: string,
  sent: Moment,
): Promise<Moment | string> {
  if (typeof sent !== "string") return sent;
  if (ISO_MOMENT_PATTERN.test(sent) && (hasOffset(sent) || isUtc(await timeZone.name()))) {
    return sent;
  }
  return await readMoment(sql, field, sent, await timeZone.rules());
}
