import { readSettings } from "../../config.ts";
import { delay } from "../../timing.ts";
import { ProbeSettings } from "../config.ts";
import { columns } from "../../terminal.ts";
import { contentCodings } from "../exchange/decoded_body.ts";
import { createSender } from "../upstream/send.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { ALL_CODINGS, safeRequests } from "../rollout/probe_requests.ts";
import { PROBE } from "../proxy/request_head.ts";
import { RefusedError } from "../../command_line.ts";
import { type Command, lotCodesFor, wholeNumber } from "./command.ts";
import { startProgress } from "./progress.ts";

const MAX_CONCURRENT = 4;
const TIMEOUT_MS = 30_000;

export const probe: Command = {
  usage: "[--count N] [--rate N] [--lots CODE,CODE …] [--no-logins]",
  does:
    "sends requests that change nothing to the gateway at GATEWAY_URL, 900 at 20 a second unless " +
    "given, so that a quiet plant has evidence: health, traces and logins of unknown accounts. " +
    "Half of them accept compressed responses. Use --no-logins with AUTH_MODE=required, where " +
    "Lotline throttles such logins",
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
    const codes = await lotCodesFor(sql, typed);
    print(
      `Sending ${max} requests to ${GATEWAY_URL}, ${perSecond} a second, with ${codes.length} lots`,
    );
    const progress = startProgress(print, max, "requests");
    let done = 0;

    using sender = createSender(GATEWAY_URL, MAX_CONCURRENT);
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
        const key = `${operation} ${described(response)}`;
        seen.set(key, (seen.get(key) ?? 0) + 1);
        progress(++done);
      }
    };
    await Promise.all(Array.from({ length: MAX_CONCURRENT }, client));

    const rows = [...seen].sort().map(([key, times]) => {
      const [operation = "", answer = "", ...codings] = key.split(" ");
      return { operation, answer, coding: codings.join(" "), times };
    });
    if (rows.length > 0 && rows.every(({ answer }) => !/^\d/.test(answer))) {
      throw new RefusedError(`${GATEWAY_URL} sends no responses`);
    }
    const sum = (counted: typeof rows) => counted.reduce((all, { times }) => all + times, 0);
    const packed = sum(rows.filter(({ coding }) => coding !== ""));
    const table = columns(
      ["operation", "response", "times"],
      rows.map(({ operation, answer, coding, times }) => [
        operation,
        `${answer} ${coding}`.trimEnd(),
        String(times),
      ]),
    );
    return {
      text: `${table.trimEnd()}\nHalf of the requests accepted ${ALL_CODINGS}: ${packed} of ` +
        `${sum(rows)} responses were compressed.`,
      json: rows.map(({ coding, ...row }) => ({ ...row, ...(coding !== "" && { coding }) })),
    };
  },
};

/** A response's status and its codings, or why there is none. */
function described(response: Exchange): string {
  if ("failure" in response) return response.failure;
  const codings = contentCodings(response.headers).join(", ");
  return `${response.status} ${codings}`.trimEnd();
}
