import { timestamp } from "./clock.ts";

/** How much a line matters; a level shows itself and all to its right: debug, info, warn, error. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Facts of a log line. No personal data: no names, emails, tokens, passwords or bodies. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * The name of what happened, in snake_case, such as `job_dead`. Names are stable, since people search
 * and alert by them: each has a row in docs/log-events.md, and values are fields. The type takes no
 * text that is put together at run time, which is a `string`.
 */
export type LogEvent = Lowercase<string>;

/** Writes one JSON object a line: `time` (UTC), `level`, `event`, then the fields. */
export type Log = (level: LogLevel, event: LogEvent, fields?: LogFields) => void;

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

// Lines wait for this long, so that a busy process writes once for many requests.
const BUFFER_MS = 20;

/**
 * A log that writes to `write`, a few lines at a time, and drops what is below `level`.
 * `flush` writes what waits at once; call it before the process ends.
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
    // A third of the time of an object made of it and its JSON.
    for (const name in fields) {
      const value = fields[name];
      if (value !== undefined) buffered += `,"${name}":${JSON.stringify(value)}`;
    }
    buffered += "}\n";
    // An error may be the last thing the process says.
    if (lineLevel === "error") flush();
    else timer ??= setTimeout(flush, BUFFER_MS);
  };
  return { log, flush };
}

/** How long the same failure is told once only, in ms. */
const REPEAT_MS = 60_000;

/**
 * A log for what may fail again and again: one line a minute for each name, and the next one tells in
 * `left_out` how many there were in between. Gives whether the line was written.
 *
 * @param now a clock that never goes back, in ms
 */
export function limitRepeats(
  log: Log,
  now: () => number = () => performance.now(),
): (name: string, ...line: Parameters<Log>) => boolean {
  const notified = new Map<string, { readonly at: number; leftOut: number }>();
  return (name, level, event, fields = {}) => {
    const last = notified.get(name);
    if (last !== undefined && now() - last.at < REPEAT_MS) {
      last.leftOut++;
      return false;
    }
    log(level, event, { ...fields, left_out: last?.leftOut || undefined });
    notified.set(name, { at: now(), leftOut: 0 });
    return true;
  };
}

/**
 * An error and its causes as one line for the log: name, code, message and the first stack frames.
 */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && parts.length < 5;) {
    if (!(at instanceof Error)) {
      parts.push(String(at));
      break;
    }
    const code = "code" in at ? ` [${String(at.code)}]` : "";
    const frames = (at.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line)).slice(0, 4);
    parts.push(`${at.name}${code}: ${at.message} ${frames.map((line) => line.trim()).join(" ")}`);
    at = at.cause;
  }
  return parts.join(" <- ");
}

function writeToStandardOutput(text: string): void {
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
  } catch {
    // Whoever read the log is gone; the service must go on without it.
  }
}
