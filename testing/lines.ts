/** The lines that a process writes. */
export interface LineReader {
  /** All lines so far. */
  readonly lines: readonly string[];
  /** The first matching line, past or to come; throws after a minute, or when the output ends. */
  find(fits: (line: string) => boolean): Promise<string>;
  /** Resolves when the output ends. */
  readonly ended: Promise<void>;
}

const MAX_WAIT_MS = 60_000;

/** Reads a process's output while it writes. */
export function readLines(stream: ReadableStream<Uint8Array>): LineReader {
  const lines: string[] = [];
  let wake = Promise.withResolvers<void>();
  let isOver = false;
  const ended = (async () => {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
      wake.resolve();
      wake = Promise.withResolvers();
    }
    if (rest !== "") lines.push(rest);
    isOver = true;
    wake.resolve();
  })();
  const find = async (fits: (line: string) => boolean): Promise<string> => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`no such line in a minute; so far:\n${lines.join("\n")}`)),
      MAX_WAIT_MS,
    );
    try {
      for (let seen = 0;;) {
        const next = wake.promise;
        for (; seen < lines.length; seen++) {
          const line = lines[seen] ?? "";
          if (fits(line)) return line;
        }
        if (isOver) {
          throw new Error(`the process ended without that line; it said:\n${lines.join("\n")}`);
        }
        await Promise.race([next, late.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  };
  return { lines, find, ended };
}
