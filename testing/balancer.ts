import { delay } from "../timing.ts";
import { eventually } from "./eventually.ts";

/** A process behind a balancer. */
export interface Backend {
  readonly url: string;
  /** Sends 200 when the process is ready. */
  readonly readyUrl: string;
}

/**
 * A balancer as operators have one before two processes: requests go in turn to those that are ready.
 * Each has a connection of its own, so none is on one that a process closes.
 */
export interface Balancer extends AsyncDisposable {
  readonly url: string;
  /** Takes a process in, ready or not. */
  add(backend: Backend): void;
  /** Sends it no more requests; resolves when it has none. */
  remove(backend: Backend): Promise<void>;
  /** Whether it gets requests. */
  isReady(backend: Backend): boolean;
  /** How many requests it has responded to. */
  served(backend: Backend): number;
}

/** How often it looks who is ready, in ms. */
const EVERY_MS = 100;
const READY_TIMEOUT_MS = 2_000;

interface State {
  isReady: boolean;
  inFlight: number;
  served: number;
}

/** Starts one on a free port, with no process behind it. */
export function startBalancer(): Balancer {
  const states = new Map<Backend, State>();
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const end = new AbortController();
  let turn = 0;
  const serve = async (request: Request): Promise<Response> => {
    const body = request.body === null ? null : await request.arrayBuffer();
    const ready = [...states].filter(([, { isReady }]) => isReady);
    const [backend, state] = ready[turn++ % ready.length] ?? [];
    if (backend === undefined || state === undefined) {
      return new Response("no process is ready", { status: 502 });
    }
    state.inFlight++;
    try {
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.set("accept-encoding", "identity");
      headers.delete("content-length");
      const { method } = request;
      const response = await fetch(backend.url + pathname + search, {
        client,
        method,
        headers,
        body,
        redirect: "manual",
      });
      const bytes = await response.arrayBuffer();
      state.served++;
      const kept = new Headers(response.headers);
      kept.delete("connection");
      return new Response(bytes.byteLength === 0 ? null : bytes, {
        status: response.status,
        headers: kept,
      });
    } catch (error) {
      return new Response(`${backend.url}: ${error}`, { status: 502 });
    } finally {
      state.inFlight--;
    }
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, serve);
  const isReady = async ({ readyUrl }: Backend) => {
    try {
      const response = await fetch(readyUrl, { signal: AbortSignal.timeout(READY_TIMEOUT_MS) });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  };
  const watching = (async () => {
    while (!end.signal.aborted) {
      await Promise.all([...states].map(async ([backend, state]) => {
        state.isReady = await isReady(backend);
      }));
      await delay(EVERY_MS, end.signal);
    }
  })();
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    add: (backend) => states.set(backend, { isReady: false, inFlight: 0, served: 0 }),
    async remove(backend) {
      const state = states.get(backend);
      states.delete(backend);
      await eventually("the process has no request", () => (state?.inFlight ?? 0) === 0);
    },
    isReady: (backend) => states.get(backend)?.isReady ?? false,
    served: (backend) => states.get(backend)?.served ?? 0,
    async [Symbol.asyncDispose]() {
      end.abort();
      await watching;
      await server.shutdown();
      client.close();
    },
  };
}
