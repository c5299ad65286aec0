import { contentCodings } from "../exchange/content_coding.ts";
import { COMPARED_HEADERS } from "../compare/compared_headers.ts";
import type { CapturedResponse, HeaderLines } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { isHopByHop } from "../exchange/hop_by_hop.ts";
import { decodedBody, decodedBytes } from "../exchange/decoded_body.ts";

/** The content codings that comparing can decode. */
export const ALL_CODINGS = "gzip, deflate, br, zstd";

/** What was seen of one coding. */
interface SeenCoding {
  readonly coding: string;
  responses: number;
  /** The shortest content in it, in bytes; null while none could be decoded. */
  fromBytes: number | null;
  /** Responses in it that can't be decoded. */
  notRead: number;
}

/** What a survey found, for programs. */
interface CodingFindings {
  readonly responses: number;
  readonly codings: readonly Readonly<SeenCoding>[];
  /** The longest content without a coding for a client that accepts some, in bytes. */
  readonly largestPlain: number;
  /** Responses with a coding for a client that accepts none. */
  readonly unasked: number;
  /** Headers of responses that are not compared. */
  readonly notCompared: readonly string[];
}

// Real servers have fewer.
const MAX_CODINGS = 20;
const MAX_HEADERS = 100;
/** Each server has its own values: they depend on the connection, the coding or the moment. */
const OWN = new Set(["date", "content-length", "content-encoding", "etag", "accept-ranges"]);

/** The size from which most servers compress, in bytes. */
const USUAL_THRESHOLD = 2_048;

/** Surveys how a server compresses. */
export function createCodingSurvey() {
  const codings = new Map<string, SeenCoding>();
  const notCompared = new Set<string>();
  let responses = 0;
  let largestPlain = 0;
  let unasked = 0;
  return {
    /** @param sent the request's headers */
    add(sent: HeaderLines, response: CapturedResponse) {
      responses++;
      for (const [name] of response.headers) {
        const lower = name.toLowerCase();
        const isDropped = !COMPARED_HEADERS.includes(lower) && !OWN.has(lower) &&
          !isHopByHop(lower);
        if (isDropped && notCompared.size < MAX_HEADERS) notCompared.add(lower);
      }
      const isRequested = headerOf(sent, "accept-encoding") !== undefined;
      const coding = contentCodings(headerOf(response.headers, "content-encoding")).join(", ");
      if (coding === "") {
        if (isRequested) largestPlain = Math.max(largestPlain, response.body.length);
        return;
      }
      if (!isRequested) unasked++;
      const seen: SeenCoding = codings.get(coding) ??
        { coding, responses: 0, fromBytes: null, notRead: 0 };
      if (codings.size < MAX_CODINGS) codings.set(coding, seen);
      seen.responses++;
      if (decodedBody(response).kind !== "plain") seen.notRead++;
      else {
        const bytes = decodedBytes(response)?.length ?? null;
        if (bytes !== null && bytes < (seen.fromBytes ?? Infinity)) seen.fromBytes = bytes;
      }
    },
    findings: (): CodingFindings => ({
      responses,
      codings: [...codings.values()].sort((one, other) => one.coding < other.coding ? -1 : 1),
      largestPlain,
      unasked,
      notCompared: [...notCompared].sort(),
    }),
  };
}

/** The findings about the old server, in sentences. */
export function describeCodings(found: CodingFindings): string[] {
  const { codings, largestPlain, unasked, notCompared } = found;
  const read = codings.filter(({ notRead }) => notRead === 0);
  const sentences: string[] = [];
  if (read.length > 0) {
    const list = read.map(({ coding, fromBytes }) =>
      fromBytes === null ? coding : `${coding} from ${fromBytes} bytes`
    );
    sentences.push(
      `The old server compresses: ${
        list.join(", ")
      }. The gateway decodes these and compares the content.`,
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
