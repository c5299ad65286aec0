import net from "node:net";
import tls from "node:tls";
import { Connection, type Pool, type UpstreamLimits, type UpstreamRequest } from "./connection.ts";

/**
 * The HTTP/1.1 client of the cutover, with persistent connections to one upstream. Clients' requests,
 * comparisons, dry runs, probes and recordings all use it; it changes no byte of a request.
 *
 * `node:http`'s client costs twice as much and does less. It doesn't report whether any of a request
 * was sent, which decides whether another upstream may receive it, and it writes requests to a
 * connection that the upstream is about to close.
 */
export class UpstreamPool implements Pool {
  /** `host:port`, for requests without a `Host`. */
  readonly authority: string;
  readonly #host: string;
  readonly #port: number;
  readonly #isSecure: boolean;
  /** Open or being opened. */
  readonly #connections = new Set<Connection>();
  /** The most recently used one is the last. */
  readonly #idle: Connection[] = [];
  readonly #waiting: { readonly request: UpstreamRequest; readonly since: number }[] = [];

  /** @param url of the upstream; only scheme, host and port are used */
  constructor(url: string, readonly limits: UpstreamLimits) {
    const { protocol, host, hostname, port } = new URL(url);
    this.#isSecure = protocol === "https:";
    this.authority = host;
    this.#host = hostname.replace(/^\[(.*)\]$/, "$1");
    this.#port = port === "" ? (this.#isSecure ? 443 : 80) : Number(port);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** The connections in use and idle, and the requests that wait for one. */
  get load() {
    const idle = this.#idle.length;
    return { inUse: this.connections - idle, idle, waiting: this.#waiting.length };
  }

  send(request: UpstreamRequest): void {
    if (this.#start(request)) return;
    if (this.#waiting.length >= this.limits.waiting) request.failed(BUSY);
    else this.#waiting.push({ request, since: performance.now() });
  }

  remove(request: UpstreamRequest): void {
    const at = this.#waiting.findIndex((waiting) => waiting.request === request);
    if (at !== -1) this.#waiting.splice(at, 1);
    for (const connection of this.#connections) {
      if (connection.isFor(request)) return connection.destroy();
    }
  }

  sweep(now: number): void {
    for (const connection of this.#connections) connection.sweep(now);
    while (
      this.#waiting[0] !== undefined && now > this.#waiting[0].since + this.limits.responseTimeoutMs
    ) {
      this.#waiting.shift()?.request.failed(BUSY);
    }
  }

  close(): void {
    // Otherwise each closed connection would open one for the next of them.
    this.#waiting.length = 0;
    for (const connection of this.#connections) connection.destroy();
  }

  released(connection: Connection): void {
    if (!connection.isClosed) this.#idle.push(connection);
    this.#startWaiting();
  }

  closed(connection: Connection): void {
    this.#connections.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#startWaiting();
  }

  #startWaiting(): void {
    // Removed first: starting it may close a connection, which calls this again.
    const next = this.#waiting.shift();
    if (next !== undefined && !this.#start(next.request)) this.#waiting.unshift(next);
  }

  #start(request: UpstreamRequest): boolean {
    const reused = this.#takeIdle(request);
    if (reused !== undefined) {
      reused.begin(request);
      return true;
    }
    if (this.connections < this.limits.connections) {
      this.#connections.add(this.#connect(request));
      return true;
    }
    // None of the idle ones may be reused: the oldest makes room.
    const oldest = this.#idle.shift();
    if (oldest === undefined) return false;
    // Before it is closed, which starts a waiting request if there is room.
    this.#connections.delete(oldest);
    this.#connections.add(this.#connect(request));
    oldest.destroy();
    return true;
  }

  #connect(request: UpstreamRequest): Connection {
    const [host, port] = [this.#host, this.#port];
    if (!this.#isSecure) {
      return new Connection(net.connect({ host, port, noDelay: true }), this, request, "connect");
    }
    // An address isn't sent as a server name (RFC 6066, 3).
    const name = net.isIP(host) === 0 ? { servername: host } : {};
    return new Connection(tls.connect({ host, port, ...name }), this, request, "secureConnect");
  }

  #takeIdle({ reusedConnections }: UpstreamRequest): Connection | undefined {
    if (reusedConnections === "none") return undefined;
    const now = performance.now();
    const reused = this.#idle.at(-1);
    if (reused === undefined || now > reused.deadline) return undefined;
    const { recentMs } = this.limits;
    if (reusedConnections === "recent" && now - reused.idleSince > recentMs) return undefined;
    return this.#idle.pop();
  }
}

const BUSY = { kind: "busy", wasSent: false, wasReused: false } as const;
