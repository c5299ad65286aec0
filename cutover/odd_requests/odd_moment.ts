import type { Random } from "../../dev/random.ts";
import { listed } from "./listed.ts";
import { anyOf, json, maybe, type OddValue, oneOf, padded, texts, word } from "./value.ts";

const DATES = listed(
  "2026-01-19¦2024-02-29¦2023-02-29¦2026-02-30¦2026-13-01¦2026-00-10¦2026-01-00¦" +
    "2026-01-32¦2026-04-31¦0001-01-01¦0000-01-01¦9999-12-31¦10000-01-01¦12026-01-01¦" +
    "99999-12-31¦294276-12-31¦294277-01-01¦-0001-01-01¦+2026-01-19¦2026-1-9¦26-01-19¦" +
    "1900-02-29¦2000-02-29¦2026/01/19¦2026.01.19¦20260119¦260119¦2026-019¦2026019¦2026.019¦" +
    "01/19/2026¦19/01/2026¦1/19/26¦19.01.2026¦19-01-2026¦01-19-2026¦19-Jan-2026¦" +
    "Jan-19-2026¦2026-Jan-19¦January 19, 2026¦19 January 2026¦Jan 19 2026¦19Jan2026¦" +
    "Mon Jan 19 2026¦Monday, January 19, 2026¦2026-W04-1¦2026W041¦J2461060¦j2461060¦J0¦" +
    "J2461060.5¦0044-03-15 BC¦44-03-15 BC¦2026-01-19 BC¦2026-01-19 AD¦0002-01-01 BC¦" +
    "4714-11-24 BC¦4714-11-23 BC¦1582-10-10¦1970-01-01¦2038-01-19¦2026-1-19¦2026-01-9¦" +
    "002026-01-19¦y2026m01d19¦2026 01 19¦2026-01¦2026¦infinity¦-infinity¦+infinity¦" +
    "Infinity¦INFINITY¦epoch¦EPOCH¦now¦NOW¦today¦Today¦tomorrow¦yesterday¦TOMORROW¦noon¦" +
    "midnight¦allballs¦invalid¦current¦undefined¦never¦never ¦1768816272¦1768816272000¦" +
    "@1768816272¦",
);

const TIMES: [string, ...string[]] = [
  "10:11:12." + "1".repeat(29),
  "10:11:12." + "1".repeat(31),
  "10:11:12." + "9".repeat(60),
  ...listed(
    "10:11:12¦10:11¦00:00:00¦23:59:59¦23:59:60¦23:59:60.5¦23:59:61¦24:00:00¦24:00¦" +
      "24:00:00.0¦24:00:00.000000¦24:00:00.0000001¦24:00:01¦24:01¦25:00¦10:60¦10:11:60¦" +
      "10:11:60.9¦10:11:12.3¦10:11:12.345¦10:11:12.345678¦10:11:12.3456789¦10:11:12.9999999¦" +
      "23:59:59.9999999¦10:11:12.¦10:11:12,345¦10¦1:2:3¦01:2¦1:02¦101112¦1011¦101112.345¦" +
      "10:11 PM¦10:11:12 pm¦10 PM¦12:00 AM¦12:30 am¦13:00 PM¦00:00 AM¦10.11.12¦10h11¦T10:11¦" +
      "10:11:12.5.5¦allballs¦noon¦-10:11¦10:-11¦10:11:1e1¦04:05:06.789 AM¦040506¦10:11:12:13¦" +
      "0010:11:12",
  ),
];

const ZONES = listed(
  "Z¦z¦¦+00¦-00¦+00:00¦-00:00¦+01¦+1¦+0100¦+01:00¦+05:30¦-03:30¦+14¦+14:00¦+14:30¦+14:59¦" +
    "+15¦+15:00¦+15:59¦-15:59¦+15:59:59¦-15:59:59¦+15:60¦+16¦+16:00¦-16:00¦+23:59¦+24:00¦" +
    "+99¦+05:30:15¦+053015¦+05:60¦+5:30¦+530¦+005¦UTC¦ UTC¦utc¦ GMT¦ EST¦ EDT¦ PST8PDT¦" +
    " CET¦ CEST¦ Europe/Berlin¦ europe/budapest¦ America/New_York¦ Asia/Kolkata¦" +
    " Nowhere/Land¦ zulu¦ ZULU¦Z+1¦ZZ¦ +01¦ -01:00¦ + 01¦+ 01:00¦+01 ¦ MSK¦ IST¦ EST5EDT¦" +
    " UTC+3¦ GMT-2¦UTC+03:00¦ <+03>-3¦ Z¦ z ¦+١¦−01:00¦ LMT¦ MET DST¦" +
    " America/Argentina/Buenos_Aires¦ Antarctica/Troll¦ A¦ local",
);

const SEPARATORS = listed(
  "T¦ ¦t¦  ¦¦\t¦_¦-¦,¦, ¦ T ¦ at ¦\n¦\u00a0¦T ",
);

/** Moments in valid and almost valid forms. */
export function momentText(random: Random): string {
  const isUsual = (share: number) => random.next() < share;
  const date = isUsual(0.5)
    ? `${random.pick(["2026", "2020", "1999", "0001", "9999", "1969", "2400"])}-${
      String(1 + random.below(12)).padStart(2, "0")
    }-${String(1 + random.below(31)).padStart(2, "0")}`
    : random.pick(DATES);
  if (random.below(8) === 0) return date + maybe(random, random.pick(ZONES));
  const separator = isUsual(0.7) ? "T" : random.pick(SEPARATORS);
  const time = isUsual(0.3) ? "10:11:12" : random.pick(TIMES);
  const zone = isUsual(0.4) ? "Z" : random.pick(ZONES);
  return date + separator + time + zone;
}

/** Values that PostgreSQL's timestamptz may accept or refuse. */
export const oddMoment: OddValue = anyOf(
  (random) => json(momentText(random)),
  (random) => json(momentText(random)),
  (random) => json(momentText(random)),
  (random) => json(random.pick(DATES)),
  padded(momentText),
  padded((random) => random.pick(["now", "tomorrow", "2026-01-19T10:11:12Z", "infinity"])),
  (random) =>
    json(
      `${momentText(random)}${
        random.pick([" BC", " bc", " AD", "BC", " DST", " ago", "\u0000", ";"])
      }`,
    ),
  (random) => json(`${random.pick(TIMES)} ${random.pick(DATES)}`),
  oneOf(
    "0",
    "1",
    "1768816272",
    "1768816272000",
    "20260119",
    "-1",
    "1e3",
    "2026",
    "1.5",
    "20260119101112",
    "true",
  ),
  texts(...listed(
    "2026-01-19T10:11:12Z¦20260119T101112Z¦20260119T101112¦20260119 101112¦20260119101112¦" +
      "2026-01-19T10:11:12.123456789Z¦2026-01-19t10:11:12z¦2026-01-19T10Z¦2026-01-19T10+01¦" +
      "2026-01-19T24:00:00Z¦9999-12-31T24:00:00Z¦9999-12-31T23:59:59.9999999Z¦" +
      "9999-12-31T23:59:60Z¦9999-12-31T23:00:00-01:00¦9999-12-31T23:00:00-15:59¦" +
      "0001-01-01T00:00:00+15:59¦0001-01-01T00:00:00+00:00:01¦0001-01-01T00:00:00Z¦" +
      "2016-12-31T23:59:60Z¦2026-06-30 23:59:60+02¦2026-01-19T10:11:12 PM¦now()¦" +
      "now() + interval '1 day'¦current_timestamp¦Mon Jan 19 10:11:12 2026¦" +
      "Mon, 19 Jan 2026 10:11:12 GMT¦Mon Jan 19 2026 10:11:12 GMT+0100 (CET)¦" +
      "2026-01-19T10:11:12+01:00[Europe/Berlin]¦2026-02-30T10:11:12Z¦2023-02-29¦today 10:11¦" +
      "tomorrow 10:11¦yesterday noon¦now UTC¦epoch UTC¦infinity Z¦allballs today¦10:11:12¦" +
      "10:11¦J2461060 10:11¦2026-01-19 10:11:12 America/Los_Angeles¦" +
      "2026-03-29 02:30:00 Europe/Berlin¦2026-10-25 02:30 Europe/Berlin",
  )),
  (random) => json(word(random, "0123456789-:TZ+. ", 1, 30)),
);
