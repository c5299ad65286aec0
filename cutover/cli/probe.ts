import { readSettings } from "../../config.ts";
import { delay } from "../../timing.ts";
import { ProbeSettings } from "../config.ts";
import { columns } from "../../terminal.ts";
import { contentCodings } from "../exchange/content_coding.ts";
import { createSender } from "../upstream/send.ts";
import { ALL_CODINGS } from "../rollout/coding_survey.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { safeRequests } from "../rollout/probe_requests.ts";
import { headerOf } from "../exchange/header_value.ts";
import { PROBE } from "../proxy/request_head.ts";
import { listNewestLotCodes } from "../rollout/newest_lots.ts";
import { RefusedError } from "../../command_line.ts";
import { type Command, lotCodesIn, wholeNumber } from "./command.ts";

/** So many requests are under way at most. */
const AT_ONCE = 4;
const TIMEOUT_MS = 30_000;
const MAX_LOTS = 1_000;

/** `deno task cutover probe` */
export const probe: Command = {
  usage: "[--count N] [--rate N] [--lots CODE,CODE …] [--no-logins]",
  does: "asks the gateway at GATEWAY_URL what changes nothing, 900 times and 20 a second unless " +
    "said, so that a quiet plant has evidence: health, traces, logins of nobody (not with " +
    "AUTH_MODE=required: Lotline would soon throttle them); half of it accepts compressed answers",
  options: {
    count: { type: "string" },
    rate: { type: "string" },
    lots: { type: "string" },
    "no-logins": { type: "boolean" },
  },
  isLong: true,
  settings: ProbeSettings,
  async run({ sql, environment, print, signal }, typed) {
    const { count = "900", rate = "20" } = typed.options;
    const max = wholeNumber("--count", count, [1, 1_000_000]);
    const perSecond = wholeNumber("--rate", rate, [1, 1_000]);
    const { GATEWAY_URL } = readSettings(ProbeSettings, environment);
    const codes = lotCodesIn(typed) ?? await listNewestLotCodes(sql, MAX_LOTS);
    print(`Asking ${GATEWAY_URL}, with ${codes.length} lots`);

    using sender = createSender(GATEWAY_URL, AT_ONCE);
    const requests = safeRequests(codes, {
      hasLogins: typed.options["no-logins"] !== true,
      acceptEncoding: ALL_CODINGS,
    });
    const seen = new Map<string, number>();
    let left = max;
    const began = performance.now();
    const client = async () => {
      while (left > 0 && !signal.aborted) {
        const dueMs = (max - left--) * 1_000 / perSecond - (performance.now() - began);
        const { operation, request } = requests.next().value;
        if (dueMs > 0) await delay(dueMs, signal);
        if (signal.aborted) return;
        const response = await sender.send(request, TIMEOUT_MS, [[PROBE, "1"]]);
        const key = [operation, ...described(response)].join(" ");
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));

    const rows = [...seen].sort().map(([key, times]) => {
      const [operation = "", response = "", ...codings] = key.split(" ");
      return { operation, answer: response, coding: codings.join(" "), times };
    });
    const isUnreachable = rows.length > 0 &&
      rows.every(({ answer: response }) => !/^\d/.test(response));
    if (isUnreachable) throw new RefusedError(`${GATEWAY_URL} gives no answers`);
    const sum = (counted: typeof rows) => counted.reduce((all, { times }) => all + times, 0);
    const packed = rows.filter(({ coding }) => coding !== "");
    return {
      text: columns(
        ["operation", "answer", "times"],
        rows.map(({ operation, answer: response, coding, times }) => [
          operation,
          coding === "" ? response : `${response} ${coding}`,
          String(times),
        ]),
      ).trimEnd() +
        `\nHalf of it accepted ${ALL_CODINGS}: ${sum(packed)} of ${
          sum(rows)
        } answers were compressed.`,
      json: rows.map(({ coding, ...row }) => ({ ...row, ...(coding !== "" && { coding }) })),
    };
  },
};

/** An answer's status and its codings, or why there is none. */
function described(response: Exchange): string[] {
  if ("failure" in response) return [response.failure];
  const codings = contentCodings(headerOf(response.headers, "content-encoding"));
  return [String(response.status), ...(codings.length === 0 ? [] : [codings.join(", ")])];
}
