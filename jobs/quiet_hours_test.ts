import { strictEqual } from "node:assert/strict";
import { type QuietHours, quietUntil } from "./quiet_hours.ts";

Deno.test("quiet hours end where no overlapping ones continue", () => {
  const day: QuietHours[] = [{ from: 6 * 60, to: 22 * 60 }];
  const night: QuietHours[] = [{ from: 22 * 60, to: 6 * 60 + 30 }];
  const shifts: QuietHours[] = [
    { from: 14 * 60, to: 22 * 60 },
    { from: 6 * 60, to: 14 * 60 },
    { from: 21 * 60, to: 60 },
  ];
  const late: QuietHours[] = [{ from: 20 * 60, to: 24 * 60 }, { from: 0, to: 60 }];
  const cases: [QuietHours[], now: string, until: string | undefined][] = [
    [[], "2026-03-01T12:00", undefined],
    [day, "2026-03-01T05:59:59.999", undefined],
    [day, "2026-03-01T06:00", "2026-03-01T22:00"],
    [day, "2026-03-01T21:59:59.999", "2026-03-01T22:00"],
    [day, "2026-03-01T22:00", undefined],
    [night, "2026-02-28T22:00", "2026-03-01T06:30"],
    [night, "2026-02-28T23:59:59.999", "2026-03-01T06:30"],
    [night, "2026-03-01T00:00", "2026-03-01T06:30"],
    [night, "2026-03-01T06:29:59.999", "2026-03-01T06:30"],
    [night, "2026-03-01T06:30", undefined],
    [shifts, "2026-12-31T07:00", "2027-01-01T01:00"],
    [shifts, "2026-12-31T00:30", "2026-12-31T01:00"],
    [shifts, "2026-12-31T01:00", undefined],
    [late, "2026-03-01T21:00", "2026-03-02T01:00"],
    [late, "2026-03-01T01:00", undefined],
  ];
  for (const [hours, now, until] of cases) {
    const found = quietUntil(hours, Date.parse(`${now}Z`));
    strictEqual(found, until === undefined ? undefined : Date.parse(`${until}Z`), now);
  }
});
