import { strictEqual } from "node:assert/strict";
import { isSameZone, isUtc } from "./zone_names.ts";

Deno.test("UTC has several names, and London is none of them", () => {
  for (const name of ["UTC", "utc", "Etc/UTC", "GMT", "Etc/GMT+0", "Zulu", "Etc/Greenwich"]) {
    strictEqual(isUtc(name), true, name);
  }
  for (const name of ["Europe/London", "Etc/GMT+1", "<+00>-00", "UTC+1", "", "Africa/Abidjan"]) {
    strictEqual(isUtc(name), false, name);
  }
});

Deno.test("names of one zone are the same, in any case", () => {
  const pairs: [string, string, boolean][] = [
    ["UTC", "Etc/GMT", true],
    ["Europe/Berlin", "europe/berlin", true],
    ["Asia/Kolkata", "Asia/Calcutta", true],
    ["<+02>-02", "<+02>-02", true],
    ["Europe/Berlin", "Europe/Vienna", false],
    ["Europe/London", "UTC", false],
    ["<+02>-02", "Europe/Berlin", false],
  ];
  for (const [one, other, are] of pairs) {
    strictEqual(isSameZone(one, other), are, `${one} ${other}`);
  }
});
