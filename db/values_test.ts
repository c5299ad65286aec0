import { strictEqual } from "node:assert/strict";
// The parser of the old server's driver; the types that come with it describe another module.
// @ts-types="./postgres_date.d.ts"
import parseMoment from "postgres-date";
import { Random } from "../dev/random.ts";
import { freshDatabase } from "../testing/database.ts";
import { toIsoText } from "./values.ts";

Deno.test("a moment is written as the old server's driver and JSON wrote it", () => {
  const random = new Random(20261127);
  const digits = (count: number) =>
    Array.from({ length: count }, () => Math.floor(random.next() * 10)).join("");
  for (let i = 0; i < 20_000; i++) {
    const seconds = -62_135_596_800 + Math.floor(random.next() * 315_537_897_600);
    const [day = "", time = ""] = new Date(seconds * 1_000).toISOString().split(/[T.]/);
    const fraction = digits(Math.floor(random.next() * 7));
    const text = `${day} ${time}${fraction && `.${fraction}`}+00`;
    strictEqual(toIsoText(text), JSON.parse(JSON.stringify(parseMoment(text))), text);
  }
});

Deno.test("PostgreSQL's moments are returned in UTC with three places, infinity as null", async () => {
  await using database = await freshDatabase();
  const shown = async (moment: string) => {
    const [row] = await database.sql`select ${moment}::text::timestamptz as moment`;
    return row?.moment;
  };
  strictEqual(await shown("2026-03-01 10:00:00"), "2026-03-01T10:00:00.000Z");
  strictEqual(await shown("2026-03-01 10:00:00.5+02"), "2026-03-01T08:00:00.500Z");
  strictEqual(await shown("2026-03-01 10:00:00.123999"), "2026-03-01T10:00:00.123Z");
  strictEqual(await shown("2024-02-29 23:59:59.9999999"), "2024-03-01T00:00:00.000Z");
  strictEqual(await shown("0001-01-01 00:00:00.000001"), "0001-01-01T00:00:00.000Z");
  strictEqual(await shown("10000-01-01 00:00:00.25"), "+010000-01-01T00:00:00.250Z");
  strictEqual(await shown("0044-03-15 12:00:00 BC"), "-000043-03-15T12:00:00.000Z");
  strictEqual(await shown("infinity"), null);
  strictEqual(await shown("-infinity"), null);
});
