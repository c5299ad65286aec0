import { isSameZone } from "../../db/zone_names.ts";
import type { Recordings } from "./recordings.ts";

/** The zone of the old server's recordings, which name none. */
const FIRST_ZONE = "UTC";

/** Recordings that name the time zone of the server; undefined: it is not known. */
export function inZone(recordings: Recordings, zone: string | undefined): Recordings {
  if (zone === undefined) return recordings;
  return { ...recordings, recorded: { ...recordings.recorded, time_zone: zone } };
}

/** A sentence when a server reads times in another zone than the recorded one; undefined: no difference. */
export function zoneWarning(
  { recorded, live }: Recordings,
  zone: string | undefined,
): string | undefined {
  const recordedZone = recorded.time_zone ?? (live ? undefined : FIRST_ZONE);
  if (zone === undefined || recordedZone === undefined) return undefined;
  if (isSameZone(zone, recordedZone)) return undefined;
  return `WARNING: the recorded server read times without an offset in ${recordedZone}, and this one ` +
    `reads them in ${zone}: set its TIME_ZONE, or record again`;
}
