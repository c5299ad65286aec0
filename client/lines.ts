import { LotlineError, reasonOf } from "./errors.ts";
import { orAborted, sleep } from "./retry.ts";
import type { DeepTrace, DeepTraceLink, DeepTraceLot, DeepTraceResult } from "./shapes.ts";

/** The first line: everything but lots and links. */
export interface DeepTraceHead extends Omit<DeepTrace, "result"> {
  readonly type: "trace";
  readonly result: Omit<DeepTraceResult, "lots" | "links" | "next_cursor">;
}

/** A line of a deep trace as NDJSON. */
export type DeepTraceLine =
  | DeepTraceHead
  | ({ readonly type: "lot" } & DeepTraceLot)
  | ({ readonly type: "link" } & DeepTraceLink);

/** More than any line has, in characters: a lot's metadata are 100 kB at most. */
const MAX_LINE = 4_194_304;

/** The last line: how many lots and links there were. It is checked and not given on. */
interface DeepTraceEnd {
  readonly type: "end";
  readonly lot_count: number;
  readonly link_count: number;
}

const LINE_TYPES: ReadonlySet<unknown> = new Set(["trace", "lot", "link", "end"]);

interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the next piece may take; however long the whole takes. */
  readonly timeoutMs: number;
  /** Where the response comes from. */
  readonly baseUrl: string;
}

/**
 * The lines of a response, as they come, without the last one, which says that there are no more;
 * a reader that stops early ends the response.
 *
 * @throws {LotlineError} `network` when it breaks off, also where it looks whole but isn't: its last
 *   line is missing, or its lots and links aren't as many as the first or the last line says;
 *   `timeout`; `unreadable`; `not_done`
 */
export async function* readTraceLines(
  body: ReadableStream<Uint8Array>,
  options: ReadOptions,
): AsyncGenerator<DeepTraceLine, void, undefined> {
  const seen = { lot: 0, link: 0 };
  let result: DeepTraceHead["result"] | undefined;
  let hasEnded = false;
  for await (const text of splitLines(body, options)) {
    const line = parseLine(text);
    if (hasEnded || (result === undefined) !== (line.type === "trace")) {
      throw new LotlineError("unreadable", "A line of the response is not where it belongs");
    }
    if (line.type === "end") {
      hasEnded = true;
      for (const notified of [line, result]) {
        if (notified?.lot_count !== seen.lot || notified?.link_count !== seen.link) {
          throw new LotlineError("network", "The response lacks lots or links");
        }
      }
      continue;
    }
    if (line.type === "trace") {
      // In the response it may be null.
      const notified: DeepTraceHead["result"] | null = line.result;
      if (notified === null) throw notDone("trace", line.state);
      result = notified;
    } else seen[line.type]++;
    yield line;
  }
  if (!hasEnded) {
    throw new LotlineError("network", `The response from ${options.baseUrl} breaks off`);
  }
}

/** The error of a result that is asked for and isn't there. */
export function notDone(what: "trace" | "audit", state: string): LotlineError {
  return new LotlineError("not_done", `The ${what} has no result: it is ${state}`);
}

async function* splitLines(
  body: ReadableStream<Uint8Array>,
  options: ReadOptions,
): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  // Joined only when the line is whole: looked through again with each piece, a long line would take
  // the square of its length.
  let pieces: string[] = [];
  let length = 0;
  const keep = (piece: string) => {
    length += piece.length;
    if (length > MAX_LINE) {
      throw new LotlineError("unreadable", "A line of the response is too long");
    }
    if (piece !== "") pieces.push(piece);
  };
  const takeLine = () => {
    const line = pieces.join("");
    pieces = [];
    length = 0;
    return line;
  };
  try {
    for (;;) {
      const { done, value } = await readInTime(reader, options);
      const text = decoder.decode(value, { stream: !done });
      let from = 0;
      for (let to = text.indexOf("\n"); to !== -1; to = text.indexOf("\n", from)) {
        keep(text.slice(from, to));
        yield takeLine();
        from = to + 1;
      }
      keep(text.slice(from));
      if (!done) continue;
      if (length > 0) yield takeLine();
      return;
    }
  } finally {
    // Not waited for: one that hangs would hang here, too. Of one that has ended it does nothing.
    reader.cancel().catch(() => {});
  }
}

async function readInTime(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { signal, timeoutMs, baseUrl }: ReadOptions,
): Promise<{ done: boolean; value?: Uint8Array | undefined }> {
  const read = new AbortController();
  const late = sleep(timeoutMs, read.signal).then(() => {
    const message = `No more of the response from ${baseUrl} within ${timeoutMs} ms`;
    throw new LotlineError("timeout", message);
  });
  try {
    return await orAborted(Promise.race([reader.read(), late]), signal);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof LotlineError) throw cause;
    const message = `The response from ${baseUrl} breaks off: ${reasonOf(cause)}`;
    throw new LotlineError("network", message, { cause });
  } finally {
    read.abort();
  }
}

function parseLine(text: string): DeepTraceLine | DeepTraceEnd {
  try {
    const line = JSON.parse(text);
    if (LINE_TYPES.has(line?.type)) return line;
  } catch {
    // Told as what it is below.
  }
  throw new LotlineError("unreadable", "A line of the response is no part of a trace");
}
