import net from "node:net";
import tls from "node:tls";
import { Connection, type Pool, type UpstreamLimits, type UpstreamListener } from "./connection.ts";

/**
 * The one HTTP client of the cutover: an upstream over kept connections of HTTP/1.1. Clients' requests,
 * comparisons, dry runs, probes and recordings all go through it, byte for byte as they are given.
 *
 * `node:http`'s client would do less at twice the cost: it doesn't tell whether any of a request was
 * sent, which is what decides whether another upstream may be sent it, and it hands a write to a kept
 * connection that the upstream is about to close.
 */
export class UpstreamPool implements Pool {
  /** `host:port`, for requests that name no host. */
  readonly authority: string;
  readonly #host: string;
  readonly #port: number;
  readonly #isSecure: boolean;
  /** Open or being opened. */
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #waiting: { readonly sender: UpstreamListener; readonly since: number }[] = [];

  /** @param url of the side; only its host and port matter */
  constructor(url: string, readonly limits: UpstreamLimits) {
    const { protocol, host, hostname, port } = new URL(url);
    this.#isSecure = protocol === "https:";
    this.authority = host;
    this.#host = hostname.replace(/^\[(.*)\]$/, "$1");
    this.#port = port === "" ? (this.#isSecure ? 443 : 80) : Number(port);
  }

  /** Connections that are open or being opened. */
  get connections(): number {
    return this.#all.size;
  }

  /** Gives a request a connection, now or when one is free. */
  send(sender: UpstreamListener): void {
    if (this.#start(sender)) return;
    if (this.#waiting.length >= this.limits.waiting) {
      sender.failed({ kind: "busy", wasSent: false, wasReused: false });
    } else this.#waiting.push({ sender, since: performance.now() });
  }

  /** Forgets a request that waits for a connection, be it one that is being opened for it. */
  remove(sender: UpstreamListener): void {
    const at = this.#waiting.findIndex((waiting) => waiting.sender === sender);
    if (at !== -1) this.#waiting.splice(at, 1);
    for (const connection of this.#all) if (connection.isFor(sender)) return connection.destroy();
  }

  /** Ends what takes too long, and closes what nobody needs. To be called a few times a second. */
  sweep(now: number): void {
    for (const connection of this.#all) connection.sweep(now);
    while (
      this.#waiting[0] !== undefined && now > this.#waiting[0].since + this.limits.responseTimeoutMs
    ) {
      this.#waiting.shift()?.sender.failed({ kind: "busy", wasSent: false, wasReused: false });
    }
  }

  /** Closes all connections. */
  close(): void {
    for (const connection of this.#all) connection.destroy();
  }

  released(connection: Connection): void {
    if (!connection.isClosed) this.#idle.push(connection);
    this.#startWaiting();
  }

  closed(connection: Connection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#startWaiting();
  }

  #startWaiting(): void {
    const next = this.#waiting[0];
    if (next !== undefined && this.#start(next.sender)) this.#waiting.shift();
  }

  #start(sender: UpstreamListener): boolean {
    const reused = this.#takeKept(sender);
    if (reused !== undefined) {
      reused.begin(sender);
      return true;
    }
    if (this.connections >= this.limits.connections) {
      if (this.#idle.length === 0) return false;
      // A kept one that won't do must make room.
      this.#idle[0]?.destroy();
    }
    const place = { host: this.#host, port: this.#port };
    const connection = this.#isSecure
      ? new Connection(
        tls.connect({ ...place, ...nameOf(place.host) }),
        this,
        sender,
        "secureConnect",
      )
      : new Connection(net.connect({ ...place, noDelay: true }), this, sender, "connect");
    this.#all.add(connection);
    return true;
  }

  #takeKept({ reusedConnections }: UpstreamListener): Connection | undefined {
    if (reusedConnections === "none") return undefined;
    const now = performance.now();
    // The one that was used last: those that aren't needed get old and are closed.
    const reused = this.#idle.at(-1);
    if (reused === undefined || now > reused.deadline) return undefined;
    const { recentMs } = this.limits;
    if (reusedConnections === "recent" && now - reused.idleSince > recentMs) return undefined;
    return this.#idle.pop();
  }
}

/** The name that a certificate must be of; an address isn't sent as one (RFC 6066, 3). */
function nameOf(host: string): { readonly servername?: string } {
  return net.isIP(host) === 0 ? { servername: host } : {};
}
