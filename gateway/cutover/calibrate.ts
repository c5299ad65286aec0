import { readCalibrateConfig } from "../../config.ts";
import { columns } from "../../terminal.ts";
import { createAsker } from "../ask.ts";
import { changesBetween } from "../compare.ts";
import { harmlessRequests } from "../harmless_requests.ts";
import { listNewestLotCodes } from "../store/lots.ts";
import { type Command, mustBeWords, RefusedError, wholeNumber } from "./command.ts";

const TIMEOUT_MS = 30_000;
const MOST_LOTS = 1_000;
/** Both answers come from one server, by one clock. */
const CLOCKS_APART_MS = 1_000;

/** `deno task cutover calibrate` */
export const calibrate: Command = {
  usage: "[--count N] [--lots CODE,CODE …]",
  does: "asks the old server at LEGACY_URL the same twice, 300 times unless said, and lists the " +
    "places at which its own answers differ: what varies by itself can't be held against Lotline",
  options: { count: { type: "string" }, lots: { type: "string" } },
  isLong: true,
  async run({ sql, environment, signal }, typed) {
    mustBeWords(typed, 0);
    const { count = "300", lots } = typed.options;
    const most = wholeNumber("--count", count, [1, 100_000]);
    const { LEGACY_URL } = readCalibrateConfig(environment);
    const codes = typeof lots === "string"
      ? lots.split(",").map((code) => code.trim()).filter((code) => code !== "")
      : await listNewestLotCodes(sql, MOST_LOTS);

    using asker = createAsker(LEGACY_URL, 1);
    const varying = new Map<string, number>();
    let compared = 0;
    let silent = 0;
    for (const { operation, request } of harmlessRequests(codes)) {
      if (compared + silent >= most || signal.aborted) break;
      const from = Date.now();
      const first = await asker.ask(request, TIMEOUT_MS);
      const second = await asker.ask(request, TIMEOUT_MS);
      if ("silence" in first || "silence" in second) {
        silent++;
        continue;
      }
      compared++;
      const times = { from, to: Date.now(), clocksApartMs: CLOCKS_APART_MS };
      for (const { place } of changesBetween(first, second, { operation, request, times })) {
        const key = `${operation} ${place}`;
        varying.set(key, (varying.get(key) ?? 0) + 1);
      }
    }
    if (compared === 0) throw new RefusedError(`${LEGACY_URL} gives no answers`);
    const rows = [...varying].sort().map(([key, times]) => {
      const [operation = "", ...place] = key.split(" ");
      return { operation, place: place.join(" "), times };
    });
    const pairs = `${compared} pairs of answers were compared, ${silent} were not answered`;
    return {
      text: rows.length === 0 ? `${pairs}: nothing varies by itself.` : `${pairs}.\n` + columns(
        ["operation", "place", "times"],
        rows.map(({ operation, place, times }) => [operation, place, String(times)]),
      ),
      json: { compared, silent, varying: rows },
    };
  },
};
