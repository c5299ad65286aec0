import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { hasOffset, isBeyondYears, ISO_MOMENT_PATTERN } from "./moments.ts";

const two = (number: number) => String(number).padStart(2, "0");

/** Times and offsets around the first and the last moment with a year of four digits. */
function edges(): string[] {
  const found: string[] = [];
  const seconds = ["", ":00", ":59", ":60", ":59.999999", ":59.9999994", ":59.9999996"];
  for (const [day, sign] of [["9999-12-31", "-"], ["0001-01-01", "+"]] as const) {
    for (let hours = 0; hours <= 14; hours++) {
      for (const minutes of ["", ":00", "01", ":29", ":30", ":59"]) {
        const offset = hours * 60 + Number(minutes.replace(":", "") || 0);
        const turn = day === "9999-12-31" ? 1_440 - offset : offset;
        for (const minute of [turn - 2, turn - 1, turn, turn + 1]) {
          if (minute < 0 || minute >= 1_440) continue;
          const time = `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
          for (const second of seconds) {
            found.push(`${day}T${time}${second}${sign}${two(hours)}${minutes}`);
          }
        }
      }
    }
  }
  const days = ["9999-12-31", "0001-01-01"];
  const times = ["", "T00:00", " 23:59:59Z", "t23:59:60z", "T23:59:59.9999999", "T23:59:60"];
  return found.concat(days.flatMap((day) => times.map((time) => day + time)));
}

Deno.test("a moment is beyond the years of four digits exactly when PostgreSQL's is", async () => {
  await using database = await freshDatabase();
  const moments = edges();
  const rows = await database.sql<{ year: number }[]>`
    select extract(year from moment::timestamptz)::int as year
    from jsonb_array_elements_text(${database.sql.json(moments)})
      with ordinality as one (moment, place) order by place`;
  const wrong = moments.filter((moment, at) => {
    const year = rows[at]?.year ?? 0;
    return isBeyondYears(moment) !== (year < 1 || year > 9_999);
  });
  deepStrictEqual(wrong.slice(0, 10), []);
  const beyond = moments.filter(isBeyondYears).length;
  ok(beyond > 1_000 && beyond < moments.length - 1_000, `${beyond} of ${moments.length}`);
});

Deno.test("years that the old server accepts and the contract can't express are beyond, too", () => {
  const beyond = ["10000-01-01", "294276-12-31T00:00:00Z", "0044-03-15 BC", "44-03-15 12:00 bc"];
  for (const moment of beyond) strictEqual(isBeyondYears(moment), true, moment);
  for (const moment of ["2026-01-19", "9998-12-31T23:59:59-14:00", "infinity", "now", ""]) {
    strictEqual(isBeyondYears(moment), false, moment);
  }
});

Deno.test("an offset is found behind the time of day, and a date has none", () => {
  const moments: [string, boolean][] = [
    ["2026-01-19", false],
    ["2026-01-19 10:11", false],
    ["2026-01-19T10:11:12.5", false],
    ["2026-01-19T24:00", false],
    ["2026-01-19T10:11Z", true],
    ["2026-01-19t10:11:12.5z", true],
    ["2026-01-19 10:11-03", true],
    ["2026-01-19 10:11:12.5+0530", true],
    ["2026-01-19T10:11:12-00:44:30", true],
  ];
  for (const [moment, has] of moments) {
    ok(ISO_MOMENT_PATTERN.test(moment), moment);
    strictEqual(hasOffset(moment), has, moment);
  }
});
