import { listening } from "../listen_error.ts";
import { describeError, type Log } from "../log.ts";
import { withDeadline } from "../timing.ts";

/** Some series of this process in Prometheus' text format. No series is in two sources. */
export interface MetricsSource extends Partial<Disposable> {
  /** Names it in the log. */
  readonly name: string;
  readonly text: () => Promise<string>;
}

interface MetricsServer extends AsyncDisposable {
  readonly port: number;
}

/** Scrapers within this time, in ms, get the same reading. */
const KEEP_MS = 1_000;
/** Half of what Prometheus waits for at least when it asks every 5 s. */
const SOURCE_MS = 2_000;
const TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Serves `GET /metrics` on a port of its own, for a scraper in the same network: it asks for no token.
 * A source that can't be read within 2 s is missing from the response; the log says it once, and the
 * gauge `lotline_metrics_readable` shows it.
 *
 * @throws {ListenError} the address is in use, or can't be used
 */
export function serveMetrics(
  { hostname, port, sources, log }: {
    readonly hostname: string;
    readonly port: number;
    readonly sources: readonly MetricsSource[];
    readonly log: Log;
  },
): MetricsServer {
  const read = createReader(sources, log);
  const respond = async (request: Request): Promise<Response> => {
    if (new URL(request.url).pathname !== "/metrics") {
      return new Response("The metrics are at /metrics\n", { status: 404 });
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("Use GET\n", { status: 405, headers: { allow: "GET, HEAD" } });
    }
    return new Response(await read(), { headers: { "content-type": TYPE } });
  };
  const server = listening(
    { hostname, port, setting: "METRICS_PORT" },
    () => Deno.serve({ hostname, port, onListen() {} }, respond),
  );
  log("info", "metrics_listening", { hostname, port: server.addr.port });
  return {
    port: server.addr.port,
    async [Symbol.asyncDispose]() {
      for (const source of sources) source[Symbol.dispose]?.();
      await server.shutdown();
    },
  };
}

/** Returns the text of all sources, read at most once a second. */
function createReader(sources: readonly MetricsSource[], log: Log): () => Promise<string> {
  const unreadable = new Set<string>();
  const textOf = async ({ name, text }: MetricsSource): Promise<string | undefined> => {
    try {
      const read = await withDeadline(text(), SOURCE_MS, () => {
        throw new Error(`no answer in ${SOURCE_MS} ms`);
      });
      unreadable.delete(name);
      return read;
    } catch (error) {
      if (!unreadable.has(name)) {
        log("warn", "metrics_unreadable", { source: name, error: describeError(error) });
      }
      unreadable.add(name);
      return undefined;
    }
  };
  const readAll = async (): Promise<string> => {
    const texts = await Promise.all(sources.map(textOf));
    const readable = sources.map(({ name }, at) =>
      `lotline_metrics_readable{source="${name}"} ${texts[at] === undefined ? 0 : 1}\n`
    );
    return [
      ...texts.filter((text) => text !== undefined),
      "# HELP lotline_metrics_readable 1 when this part was read in time.\n" +
      "# TYPE lotline_metrics_readable gauge\n" + readable.join(""),
    ].map((text) => `${text.trimEnd()}\n`).join("\n");
  };
  let reading: { readonly at: number; readonly text: Promise<string> } | undefined;
  return () => {
    const now = performance.now();
    if (reading === undefined || now - reading.at >= KEEP_MS) {
      reading = { at: now, text: readAll() };
    }
    return reading.text;
  };
}
