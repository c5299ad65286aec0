import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { inZone, zoneWarning } from "./recorded_zone.ts";
import { formatRecordings, parseRecordings, type Recordings } from "./recordings.ts";

const recordings: Recordings = {
  recorded: { from: "2026-11-23T01:10:28.590Z", to: "2026-11-23T01:10:33.914Z" },
  scenarios: [{
    name: "one",
    steps: [{
      request: { method: "GET", path: "/api/health", headers: {} },
      response: { status: 200, headers: {}, body: "" },
    }],
  }],
};

Deno.test("recordings keep the time zone of their server", () => {
  const berlin = inZone(recordings, "Europe/Berlin");
  strictEqual(berlin.recorded.time_zone, "Europe/Berlin");
  deepStrictEqual(parseRecordings(JSON.parse(formatRecordings(berlin))), berlin);
  deepStrictEqual(inZone(recordings, undefined), recordings);
});

const BERLIN = "Europe/Berlin";
const CASES: [what: string, recordings: Recordings, zone: string | undefined, warns: boolean][] = [
  ["the same zone", inZone(recordings, BERLIN), "europe/berlin", false],
  ["another zone", inZone(recordings, BERLIN), "UTC", true],
  ["no known zone of the server", inZone(recordings, BERLIN), undefined, false],
  ["the old server's recordings in UTC", recordings, "Etc/UTC", false],
  ["the old server's recordings in another zone", recordings, BERLIN, true],
  ["a live recording that names no zone", { ...recordings, live: true }, BERLIN, false],
];

for (const [what, recorded, zone, warns] of CASES) {
  Deno.test(`${what}: ${warns ? "a" : "no"} warning`, () => {
    strictEqual(zoneWarning(recorded, zone) !== undefined, warns);
  });
}
