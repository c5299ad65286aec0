import { z } from "zod";
import { isObject, parseJson } from "../../json.ts";
import { parseRecordings, RecordedRequest } from "./recordings.ts";
import type { Requests } from "./send_safe.ts";

const MAX_REQUESTS = 10_000;

const Listed = RecordedRequest.extend({
  method: z.string().regex(/^[A-Z]+$/),
  path: z.string().regex(/^\/\S*$/),
  headers: RecordedRequest.shape.headers.default({}),
});

/**
 * Reads a list of requests: recordings, whose responses are ignored, or a request a line, as
 * `GET /api/health` or as JSON with `method`, `path` and perhaps `headers`, `body`, `encoding`, `gzip`
 * as in recordings. Empty lines and lines that begin with `#` are skipped.
 * @throws Error that says which line is invalid
 */
export function parseRequestList(text: string): readonly Requests[] {
  const scenarios = readRecordings(text) ?? readLines(text);
  const count = scenarios.reduce((sum, { steps }) => sum + steps.length, 0);
  if (count === 0) throw new Error("It holds no request");
  if (count > MAX_REQUESTS) {
    throw new Error(`It holds ${count} requests, more than ${MAX_REQUESTS}`);
  }
  return scenarios;
}

function readRecordings(text: string): readonly Requests[] | undefined {
  const content = parseJson(text);
  if (!isObject(content) || !("scenarios" in content)) return undefined;
  try {
    return parseRecordings(content).scenarios;
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new Error(`It is not in the form of recordings: ${why}`);
  }
}

function readLines(text: string): readonly Requests[] {
  const scenarios: Requests[] = [];
  for (const [at, line] of text.split(/\r?\n/).map((line) => line.trim()).entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const [, method, path] = /^([A-Z]+)\s+(\/\S*)$/.exec(line) ?? [];
    const result = Listed.safeParse(line.startsWith("{") ? parseJson(line) : { method, path });
    if (!result.success) {
      throw new Error(
        `Line ${at + 1} is neither METHOD /path nor a request as JSON: ${line.slice(0, 80)}`,
      );
    }
    // Not its path: that may hold personal data.
    scenarios.push({ name: `line ${at + 1}`, steps: [{ request: result.data }] });
  }
  return scenarios;
}
