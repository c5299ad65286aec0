import { timestamp } from "./clock.ts";
import { activeTraceId, isTracing } from "./telemetry/tracing.ts";

/** The log shows lines of its level and of those after it: debug, info, warn, error. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Fields of a log line. No personal data: no names, emails, tokens, passwords or bodies. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * The name of an event in snake_case, such as `job_dead`. Names are stable because people search
 * and alert by them. Each name has a row in docs/log-events.md; values are fields. The type refuses
 * a `string` that is built at run time.
 */
export type LogEvent = Lowercase<string>;

/**
 * Writes one JSON object per line: `time` (UTC), `level`, `event`, then the fields, and `trace_id` when
 * the line belongs to a trace.
 */
export type Log = (level: LogLevel, event: LogEvent, fields?: LogFields) => void;

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

// Buffers lines this long, so that a busy process writes once for many requests.
const BUFFER_MS = 20;

/**
 * A log that drops lines below `level`. Call `flush` before the process ends: it writes the
 * buffered lines.
 */
export function createLog(
  level: LogLevel,
  write: (text: string) => void = writeToStandardOutput,
): { log: Log; flush: () => void } {
  let buffered = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const text = buffered;
    buffered = "";
    if (text !== "") write(text);
  };
  const log: Log = (lineLevel, event, fields) => {
    if (RANK[lineLevel] < RANK[level]) return;
    buffered += `{"time":"${timestamp()}","level":"${lineLevel}","event":"${event}"`;
    // This takes a third of the time of JSON.stringify on a merged object.
    for (const name in fields) {
      const value = fields[name];
      if (value !== undefined) buffered += `,"${name}":${JSON.stringify(value)}`;
    }
    if (isTracing && fields?.trace_id === undefined) buffered += traceField(activeTraceId());
    buffered += "}\n";
    // The process may end right after an error.
    if (lineLevel === "error") flush();
    else timer ??= setTimeout(flush, BUFFER_MS);
  };
  return { log, flush };
}

const traceField = (id: string | undefined) => id === undefined ? "" : `,"trace_id":"${id}"`;

/** The interval between two log lines of the same failure, in ms. */
const REPEAT_MS = 60_000;

/**
 * A log for repeated failures: one line a minute for each name. `left_out` counts the lines that
 * were left out in between. Returns whether the line was written.
 *
 * @param now a monotonic clock, in ms
 */
export function limitRepeats(
  log: Log,
  now: () => number = () => performance.now(),
): (name: string, ...line: Parameters<Log>) => boolean {
  const written = new Map<string, { readonly at: number; leftOut: number }>();
  return (name, level, event, fields = {}) => {
    const last = written.get(name);
    if (last !== undefined && now() - last.at < REPEAT_MS) {
      last.leftOut++;
      return false;
    }
    log(level, event, { ...fields, left_out: last?.leftOut || undefined });
    written.set(name, { at: now(), leftOut: 0 });
    return true;
  };
}

/** The folder of this project's files. */
const PROJECT = new URL(".", import.meta.url).href;
/** The most of each of these that a line has of an error. */
const MAX = { causes: 5, frames: 3, messageLetters: 500 };

/**
 * An error and its causes as one line: name, code, message, and where in the project's own files. Frames
 * of packages and of Deno explain nothing to an operator.
 */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && parts.length < MAX.causes;) {
    if (!(at instanceof Error)) {
      parts.push(String(at));
      break;
    }
    const code = "code" in at ? ` [${String(at.code)}]` : "";
    const message = at.message.replaceAll("\n", " ").slice(0, MAX.messageLetters);
    parts.push(`${at.name}${code}: ${message}${ownFrames(at.stack ?? "")}`);
    at = at.cause;
  }
  return parts.join(" <- ");
}

/** Such as ` at db/lots.ts:20:5 at routes/create_lot.ts:41:9`. */
function ownFrames(stack: string): string {
  return stack.split("\n")
    .filter((line) => line.includes(PROJECT) && !line.includes("/node_modules/"))
    .slice(0, MAX.frames)
    .map((line) => ` at ${line.slice(line.indexOf(PROJECT) + PROJECT.length).replace(")", "")}`)
    .join("");
}

function writeToStandardOutput(text: string): void {
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
  } catch {
    // The reader of the log is gone; the service goes on without it.
  }
}
