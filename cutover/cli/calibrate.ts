import { readSettings } from "../../config.ts";
import { CalibrateSettings } from "../config.ts";
import { columns, printable } from "../../terminal.ts";
import { createSender } from "../upstream/send.ts";
import { ALL_CODINGS, createCodingSurvey, describeCodings } from "../rollout/coding_survey.ts";
import { changesBetween } from "../compare/compare.ts";
import type { CapturedRequest } from "../exchange/exchange.ts";
import { safeRequests } from "../rollout/probe_requests.ts";
import { RefusedError } from "../../command_line.ts";
import { type Command, lotCodesFor, wholeNumber } from "./command.ts";

const TIMEOUT_MS = 30_000;
/** Both responses come from one server, by one clock. */
const CLOCKS_APART_MS = 1_000;

/** The codings that the third request of a pair accepts, in turn. */
const ACCEPTED = ["gzip", ALL_CODINGS, "br", "deflate", "zstd"];

export const calibrate: Command = {
  usage: "[--count N] [--lots CODE,CODE …]",
  does:
    "sends the old server at LEGACY_URL each request twice, 300 times unless given, and lists the " +
    "places at which its own responses differ: such a difference is no fault of Lotline. A third " +
    "request accepts compressed responses, and the last lines say what that changes",
  options: { count: { type: "string" }, lots: { type: "string" } },
  isLong: true,
  settings: CalibrateSettings,
  async run({ sql, environment, signal }, typed) {
    const { count: pairs = "300" } = typed.options;
    const max = wholeNumber("--count", pairs, [1, 100_000]);
    const { LEGACY_URL } = readSettings(CalibrateSettings, environment);
    const codes = await lotCodesFor(sql, typed);

    using sender = createSender(LEGACY_URL, 1);
    const survey = createCodingSurvey();
    const varying = new Map<string, number>();
    const count = (key: string) => varying.set(key, (varying.get(key) ?? 0) + 1);
    let compared = 0;
    let failed = 0;
    for (const { operation, request } of safeRequests(codes)) {
      if (compared + failed >= max || signal.aborted) break;
      const from = Date.now();
      const first = await sender.send(request, TIMEOUT_MS);
      const second = await sender.send(request, TIMEOUT_MS);
      const accepting = thatAccepts(request, ACCEPTED[compared % ACCEPTED.length] ?? ALL_CODINGS);
      const third = await sender.send(accepting, TIMEOUT_MS);
      if ("failure" in first || "failure" in second || "failure" in third) {
        failed++;
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
    if (compared === 0) throw new RefusedError(`${LEGACY_URL} sends no responses`);
    const rows = [...varying].sort().map(([key, times]) => {
      const [operation = "", ...place] = key.split(" ");
      return { operation, place: place.join(" "), times };
    });
    const found = survey.findings();
    const sum = `${compared} pairs of responses were compared, ${failed} requests had no response`;
    const table = rows.length === 0 ? `${sum}: nothing varies by itself.` : `${sum}.\n` + columns(
      ["operation", "place", "times"],
      rows.map(({ operation, place, times }) => [operation, place, String(times)]),
    );
    return {
      text: [table.trimEnd(), ...describeCodings(found).map(printable)].join("\n"),
      json: { compared, silent: failed, varying: rows, compression: found },
    };
  },
};

function thatAccepts(request: CapturedRequest, codings: string): CapturedRequest {
  return { ...request, headers: [...request.headers, ["accept-encoding", codings]] };
}
