import { contentCodings } from "../exchange/content_coding.ts";
import { COMPARED_HEADERS } from "../compare/compared_headers.ts";
import type { CapturedResponse, HeaderLines } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { isHopByHop } from "../exchange/hop_by_hop.ts";
import { decodedBody, decodedBytes } from "../exchange/decoded_body.ts";

/** The codings that a client may accept, as far as comparing understands them. */
export const ALL_CODINGS = "gzip, deflate, br, zstd";

/** What was seen of one coding. */
interface SeenCoding {
  readonly coding: string;
  responses: number;
  /** The shortest content that was in it, in bytes; infinite while none could be read. */
  fromBytes: number;
  /** Answers in it that can't be read. */
  notRead: number;
}

/** What a survey found, for programs. */
export interface CodingFindings {
  readonly responses: number;
  readonly codings: readonly {
    readonly coding: string;
    readonly responses: number;
    readonly fromBytes: number | null;
    readonly notRead: number;
  }[];
  /** The longest content that came without a coding to a client that accepts some, in bytes. */
  readonly largestPlain: number;
  /** Answers with a coding that nobody had asked for. */
  readonly unasked: number;
  /** Headers of answers that nobody compares. */
  readonly notCompared: readonly string[];
}

/** Gathers how a server compresses. */
export interface CodingSurvey {
  /** @param sent the request's headers */
  add(sent: HeaderLines, response: CapturedResponse): void;
  findings(): CodingFindings;
}

// A server with more has no use for them.
const MAX_CODINGS = 20;
const MAX_HEADERS = 100;
/** Of the connection, the body's length and the moment: each server has its own. */
const OWN = new Set(["date", "content-length", "content-encoding", "etag", "accept-ranges"]);

/** From so many bytes on, most servers that compress do it. */
const USUAL_THRESHOLD = 2_048;

/** Starts a survey. */
export function createCodingSurvey(): CodingSurvey {
  const codings = new Map<string, SeenCoding>();
  const notCompared = new Set<string>();
  let responses = 0;
  let largestPlain = 0;
  let unasked = 0;
  return {
    add(sent, response) {
      responses++;
      for (const [name] of response.headers) {
        const lower = name.toLowerCase();
        const isSaid = !COMPARED_HEADERS.includes(lower) && !OWN.has(lower) && !isHopByHop(lower);
        if (isSaid && notCompared.size < MAX_HEADERS) notCompared.add(lower);
      }
      const isRequested = headerOf(sent, "accept-encoding") !== undefined;
      const coding = contentCodings(headerOf(response.headers, "content-encoding")).join(", ");
      if (coding === "") {
        if (isRequested) largestPlain = Math.max(largestPlain, response.body.length);
        return;
      }
      if (!isRequested) unasked++;
      const seen = codings.get(coding) ??
        { coding, responses: 0, fromBytes: Infinity, notRead: 0 };
      if (codings.size < MAX_CODINGS) codings.set(coding, seen);
      seen.responses++;
      if (decodedBody(response).kind !== "plain") seen.notRead++;
      else seen.fromBytes = Math.min(seen.fromBytes, decodedBytes(response)?.length ?? Infinity);
    },
    findings: () => ({
      responses,
      codings: [...codings.values()].map(({ fromBytes, ...seen }) => ({
        ...seen,
        fromBytes: Number.isFinite(fromBytes) ? fromBytes : null,
      })).sort((one, other) => one.coding < other.coding ? -1 : 1),
      largestPlain,
      unasked,
      notCompared: [...notCompared].sort(),
    }),
  };
}

/** What a survey of the old server found, in sentences. */
export function describeCodings(found: CodingFindings): string[] {
  const { codings, largestPlain, unasked, notCompared } = found;
  const read = codings.filter(({ notRead }) => notRead === 0);
  const sentences: string[] = [];
  if (read.length > 0) {
    const list = read.map(({ coding, fromBytes }) =>
      fromBytes === null ? coding : `${coding} from ${fromBytes} bytes`
    );
    sentences.push(
      `The old server compresses: ${list.join(", ")}; understood, the content is compared.`,
    );
  } else if (codings.length === 0) {
    sentences.push(
      `The old server compressed nothing for clients that accept ${ALL_CODINGS}; its longest ` +
        `answer to them had ${largestPlain} bytes.` +
        (largestPlain < USUAL_THRESHOLD ? " Servers often leave such short ones as they are." : ""),
    );
  }
  for (const { coding, responses, notRead } of codings.filter(({ notRead }) => notRead > 0)) {
    sentences.push(
      `${notRead} of ${responses} answers in "${coding}" can't be read: not understood, such ` +
        "answers aren't compared.",
    );
  }
  if (unasked > 0) {
    sentences.push(`It compressed ${unasked} answers for clients that hadn't asked for it.`);
  }
  if (notCompared.length > 0) {
    sentences.push(`It sends headers that aren't compared: ${notCompared.join(", ")}.`);
  }
  return sentences;
}
