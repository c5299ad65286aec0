import { readSettings } from "../../config.ts";
import { CalibrateSettings } from "../config.ts";
import { columns, printable } from "../../terminal.ts";
import { createSender } from "../upstream/send.ts";
import { changesBetween } from "../compare/compare.ts";
import { COMPARED_HEADERS } from "../compare/compared_headers.ts";
import { contentCodings, decodedBody } from "../exchange/decoded_body.ts";
import {
  type CapturedRequest,
  type CapturedResponse,
  type HeaderLines,
  headerOf,
} from "../exchange/exchange.ts";
import { HOP_BY_HOP } from "../exchange/hop_by_hop.ts";
import { ALL_CODINGS, safeRequests } from "../rollout/probe_requests.ts";
import { RefusedError } from "../../command_line.ts";
import { type Command, lotCodesFor, wholeNumber } from "./command.ts";
import { startProgress } from "./progress.ts";

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
  async run({ sql, environment, print, signal }, typed) {
    const { count: pairs = "300" } = typed.options;
    const max = wholeNumber("--count", pairs, [1, 100_000]);
    const { LEGACY_URL } = readSettings(CalibrateSettings, environment);
    const codes = await lotCodesFor(sql, typed);

    print(`Sending ${max} requests, three times each, to ${LEGACY_URL}`);
    const progress = startProgress(print, max, "requests");

    using sender = createSender(LEGACY_URL, 1);
    const survey = new CodingSurvey();
    const varying = new Map<string, number>();
    const count = (key: string) => varying.set(key, (varying.get(key) ?? 0) + 1);
    let compared = 0;
    let failed = 0;
    for (const { operation, request } of safeRequests(codes)) {
      if (compared + failed >= max || signal.aborted) break;
      progress(compared + failed);
      const from = Date.now();
      const first = await sender.send(request, TIMEOUT_MS);
      const second = await sender.send(request, TIMEOUT_MS);
      const codings = ACCEPTED[compared % ACCEPTED.length] ?? ALL_CODINGS;
      const accepting: CapturedRequest = {
        ...request,
        headers: [...request.headers, ["accept-encoding", codings]],
      };
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
    survey.codings.sort((one, other) => one.coding < other.coding ? -1 : 1);
    survey.notCompared.sort();
    const sum = `${compared} pairs of responses were compared, ${failed} requests had no response`;
    const table = rows.length === 0 ? `${sum}: nothing varies by itself.` : `${sum}.\n` + columns(
      ["operation", "place", "times"],
      rows.map(({ operation, place, times }) => [operation, place, String(times)]),
    );
    return {
      text: [table.trimEnd(), ...describeCodings(survey).map(printable)].join("\n"),
      json: { compared, silent: failed, varying: rows, compression: survey },
    };
  },
};

interface SeenCoding {
  readonly coding: string;
  responses: number;
  /** The shortest content in it, in bytes; null while none could be decoded. */
  fromBytes: number | null;
  /** Responses in it that can't be decoded. */
  notRead: number;
}

// Real servers have fewer.
const MAX_CODINGS = 20;
const MAX_HEADERS = 100;
/** Each server has its own values: they depend on the connection, the coding or the moment. */
const OWN = new Set(["date", "content-length", "content-encoding", "etag", "accept-ranges"]);

/** The size from which most servers compress, in bytes. */
const USUAL_THRESHOLD = 2_048;

/** How a server compresses. */
class CodingSurvey {
  responses = 0;
  readonly codings: SeenCoding[] = [];
  /** The longest content without a coding for a client that accepts some, in bytes. */
  largestPlain = 0;
  /** Responses with a coding for a client that accepts none. */
  unasked = 0;
  readonly notCompared: string[] = [];

  /** @param sent the request's headers */
  add(sent: HeaderLines, response: CapturedResponse): void {
    this.responses++;
    for (const name of response.headers.map(([name]) => name.toLowerCase())) {
      const isKnown = COMPARED_HEADERS.includes(name) || OWN.has(name) || HOP_BY_HOP.has(name) ||
        this.notCompared.includes(name);
      if (!isKnown && this.notCompared.length < MAX_HEADERS) this.notCompared.push(name);
    }
    const isRequested = headerOf(sent, "accept-encoding") !== undefined;
    const coding = contentCodings(response.headers).join(", ");
    if (coding === "") {
      if (isRequested) this.largestPlain = Math.max(this.largestPlain, response.body.length);
      return;
    }
    if (!isRequested) this.unasked++;
    const seen = this.seen(coding);
    seen.responses++;
    const decoded = decodedBody(response);
    if (decoded.kind !== "plain") seen.notRead++;
    else seen.fromBytes = Math.min(decoded.bytes.length, seen.fromBytes ?? Infinity);
  }

  private seen(coding: string): SeenCoding {
    const known = this.codings.find((one) => one.coding === coding);
    const seen = known ?? { coding, responses: 0, fromBytes: null, notRead: 0 };
    if (known === undefined && this.codings.length < MAX_CODINGS) this.codings.push(seen);
    return seen;
  }
}

function describeCodings(survey: CodingSurvey): string[] {
  const { codings, largestPlain, unasked, notCompared } = survey;
  const read = codings.filter(({ notRead }) => notRead === 0);
  const sentences: string[] = [];
  if (read.length > 0) {
    const list = read.map(({ coding, fromBytes }) => `${coding} from ${fromBytes} bytes`).join(
      ", ",
    );
    sentences.push(
      `The old server compresses: ${list}. The gateway decodes these and compares the content.`,
    );
  } else if (codings.length === 0) {
    sentences.push(
      `The old server compressed nothing for clients that accept ${ALL_CODINGS}; its longest ` +
        `response to them had ${largestPlain} bytes.` +
        (largestPlain < USUAL_THRESHOLD ? " Many servers don't compress such short ones." : ""),
    );
  }
  for (const { coding, responses, notRead } of codings.filter(({ notRead }) => notRead > 0)) {
    sentences.push(
      `${notRead} of ${responses} responses in "${coding}" can't be decoded. Such responses are not ` +
        "compared.",
    );
  }
  if (unasked > 0) {
    sentences.push(`It compressed ${unasked} responses for clients that accept no coding.`);
  }
  if (notCompared.length > 0) {
    sentences.push(`It sends headers that are not compared: ${notCompared.join(", ")}.`);
  }
  return sentences;
}
