import { readSettings } from "../../config.ts";
import { CalibrateSettings } from "../config.ts";
import { columns, printable } from "../../terminal.ts";
import { createSender } from "../upstream/send.ts";
import { ALL_CODINGS, createCodingSurvey, describeCodings } from "../rollout/coding_survey.ts";
import { changesBetween } from "../compare/compare.ts";
import type { CapturedRequest } from "../exchange/exchange.ts";
import { safeRequests } from "../rollout/probe_requests.ts";
import { listNewestLotCodes } from "../rollout/newest_lots.ts";
import { RefusedError } from "../../command_line.ts";
import { type Command, lotCodesIn, wholeNumber } from "./command.ts";

const TIMEOUT_MS = 30_000;
const MAX_LOTS = 1_000;
/** Both answers come from one server, by one clock. */
const CLOCKS_APART_MS = 1_000;

/** What the third request of a pair accepts, in turn. */
const ACCEPTED = ["gzip", ALL_CODINGS, "br", "deflate", "zstd"];

/** `deno task cutover calibrate` */
export const calibrate: Command = {
  usage: "[--count N] [--lots CODE,CODE …]",
  does: "asks the old server at LEGACY_URL the same twice, 300 times unless said, and lists the " +
    "places at which its own answers differ: what varies by itself can't be held against Lotline; " +
    "asks a third time as a client that accepts compressed answers, and says what that changes",
  options: { count: { type: "string" }, lots: { type: "string" } },
  isLong: true,
  settings: CalibrateSettings,
  async run({ sql, environment, signal }, typed) {
    const { count: pairs = "300" } = typed.options;
    const max = wholeNumber("--count", pairs, [1, 100_000]);
    const { LEGACY_URL } = readSettings(CalibrateSettings, environment);
    const codes = lotCodesIn(typed) ?? await listNewestLotCodes(sql, MAX_LOTS);

    using sender = createSender(LEGACY_URL, 1);
    const survey = createCodingSurvey();
    const varying = new Map<string, number>();
    const count = (key: string) => varying.set(key, (varying.get(key) ?? 0) + 1);
    let compared = 0;
    let silent = 0;
    for (const { operation, request } of safeRequests(codes)) {
      if (compared + silent >= max || signal.aborted) break;
      const from = Date.now();
      const first = await sender.send(request, TIMEOUT_MS);
      const second = await sender.send(request, TIMEOUT_MS);
      const accepting = thatAccepts(request, ACCEPTED[compared % ACCEPTED.length] ?? ALL_CODINGS);
      const third = await sender.send(accepting, TIMEOUT_MS);
      if ("failure" in first || "failure" in second || "failure" in third) {
        silent++;
        continue;
      }
      compared++;
      survey.add(request.headers, first);
      survey.add(accepting.headers, third);
      const times = { from, to: Date.now(), clocksApartMs: CLOCKS_APART_MS };
      const places = (later: typeof third) =>
        changesBetween(first, later, { operation, request, times }).map(({ place }) => place);
      const byItself = places(second);
      for (const place of byItself) count(`${operation} ${place}`);
      for (const place of places(third).filter((one) => !byItself.includes(one))) {
        count(`${operation} ${place} (with Accept-Encoding)`);
      }
    }
    if (compared === 0) throw new RefusedError(`${LEGACY_URL} gives no answers`);
    const rows = [...varying].sort().map(([key, times]) => {
      const [operation = "", ...place] = key.split(" ");
      return { operation, place: place.join(" "), times };
    });
    const found = survey.findings();
    const requested = `${compared} pairs of answers were compared, ${silent} were not answered`;
    const table = rows.length === 0
      ? `${requested}: nothing varies by itself.`
      : `${requested}.\n` + columns(
        ["operation", "place", "times"],
        rows.map(({ operation, place, times }) => [operation, place, String(times)]),
      );
    return {
      text: [table.trimEnd(), ...describeCodings(found).map(printable)].join("\n"),
      json: { compared, silent, varying: rows, compression: found },
    };
  },
};

function thatAccepts(request: CapturedRequest, codings: string): CapturedRequest {
  return { ...request, headers: [...request.headers, ["accept-encoding", codings]] };
}
