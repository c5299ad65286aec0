import net from "node:net";
import tls from "node:tls";
import { type Asker, Connection, type Pool, type UpstreamLimits } from "./connection.ts";

/**
 * The one HTTP client of the cutover: an upstream over kept connections of HTTP/1.1. Clients' requests,
 * comparisons, dry runs, probes and recordings all go through it, byte for byte as they are given.
 *
 * `node:http`'s client would do less at twice the cost: it doesn't tell whether any of a request was
 * sent, which is what decides whether another upstream may be sent it, and it hands a write to a kept
 * connection that the upstream is about to close.
 */
export class Upstream implements Pool {
  /** `host:port`, for requests that name no host. */
  readonly authority: string;
  readonly #host: string;
  readonly #port: number;
  readonly #isSecure: boolean;
  /** Open or being opened. */
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #waiting: { readonly asker: Asker; readonly since: number }[] = [];

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
  ask(asker: Asker): void {
    if (this.#start(asker)) return;
    if (this.#waiting.length >= this.limits.waiting) {
      asker.failed({ kind: "busy", wasSent: false, wasKept: false });
    } else this.#waiting.push({ asker, since: performance.now() });
  }

  /** Forgets a request that waits for a connection, be it one that is being opened for it. */
  forget(asker: Asker): void {
    const at = this.#waiting.findIndex((waiting) => waiting.asker === asker);
    if (at !== -1) this.#waiting.splice(at, 1);
    for (const connection of this.#all) if (connection.isFor(asker)) return connection.destroy();
  }

  /** Ends what takes too long, and closes what nobody needs. To be called a few times a second. */
  sweep(now: number): void {
    for (const connection of this.#all) connection.sweep(now);
    while (this.#waiting[0] !== undefined && now > this.#waiting[0].since + this.limits.answerMs) {
      this.#waiting.shift()?.asker.failed({ kind: "busy", wasSent: false, wasKept: false });
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
    if (next !== undefined && this.#start(next.asker)) this.#waiting.shift();
  }

  #start(asker: Asker): boolean {
    const kept = this.#takeKept(asker);
    if (kept !== undefined) {
      kept.begin(asker);
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
        asker,
        "secureConnect",
      )
      : new Connection(net.connect({ ...place, noDelay: true }), this, asker, "connect");
    this.#all.add(connection);
    return true;
  }

  #takeKept({ keptConnections }: Asker): Connection | undefined {
    if (keptConnections === "none") return undefined;
    const now = performance.now();
    // The one that was used last: those that aren't needed get old and are closed.
    const kept = this.#idle.at(-1);
    if (kept === undefined || now > kept.deadline) return undefined;
    const { recentMs } = this.limits;
    if (keptConnections === "recent" && now - kept.idleSince > recentMs) return undefined;
    return this.#idle.pop();
  }
}

/** The name that a certificate must be of; an address isn't sent as one (RFC 6066, 3). */
function nameOf(host: string): { readonly servername?: string } {
  return net.isIP(host) === 0 ? { servername: host } : {};
}
