import { createServer, type ServerResponse } from "node:http";
import net from "node:net";
import type { Duplex } from "node:stream";
import { createClientReader, createProxyCheck } from "../../client_address.ts";
import { delay } from "../../timing.ts";
import type { CanaryBy } from "../config.ts";
import type { Log } from "../../log.ts";
import { ByteBudget } from "../exchange/byte_budget.ts";
import { Client } from "./client.ts";
import { ClientRequest } from "./client_request.ts";
import type { Observer } from "../shadow/observer.ts";
import type { Departure } from "../exchange/departure.ts";
import type { Evidence } from "../evidence/evidence.ts";
import { DueComparison } from "./due_comparison.ts";
import { ProxiedRequest } from "./proxied_request.ts";
import type { GatewayServerLimits } from "./server_limits.ts";
import { endWith } from "./last_response.ts";
import type { Operation } from "../exchange/operations.ts";
import { errorResponse, type ErrorResponseStatus } from "./error_response.ts";
import { peerOf, readRequestHead } from "./request_head.ts";
import type { Route } from "../exchange/route.ts";
import { InFlight } from "./in_flight.ts";
import { UpstreamPool } from "../upstream/upstream.ts";
import { decide } from "./decide.ts";

/** What the front needs to know. */
export interface GatewayServerOptions {
  readonly hostname: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** The base address of the old server, `http:`. */
  readonly legacyUrl: string;
  /** That of Lotline. */
  readonly serviceUrl: string;
  readonly trustedProxies: readonly string[];
  /** By what a canary tells clients apart. */
  readonly canaryBy: CanaryBy;
  readonly limits: GatewayServerLimits;
  /** From memory: it is asked for every request. */
  readonly routeOf: (operation: Operation) => Route;
  readonly evidence: Evidence;
  readonly observer: Observer;
  /** Is told of each client that left before its answer was out. */
  readonly onDeparture: (operation: Operation | undefined, departure: Departure) => void;
  readonly log: Log;
}

/** The front, listening. */
export interface GatewayServer {
  readonly port: number;
  /** How many bytes are left for long bodies of exchanges that are compared. */
  readonly comparedBytesLeft: number;
  /**
   * Accepts nothing more after a moment, lets the running requests end, and closes all connections;
   * what still runs after the grace is cut off. True: nothing had to be.
   */
  close(graceMs: number): Promise<boolean>;
}

/**
 * While it stops, the front answers what arrives for this long and closes each connection with its
 * answer, as HTTP asks for; only those that stay silent are closed without one.
 */
const LINGER_MS = 300;
const LINGER_TURNS = 20;

/** Starts what clients talk to. */
export async function startGatewayServer(options: GatewayServerOptions): Promise<GatewayServer> {
  const { limits, evidence, observer, log, routeOf } = options;
  const isTrusted = createProxyCheck(options.trustedProxies);
  const inFlight = new InFlight<ProxiedRequest>();
  const headsInFlight = new InFlight<ProxiedRequest>();
  const clients = new Map<net.Socket, Client>();
  let isStopping = false;
  const upstreams = {
    legacy: new UpstreamPool(options.legacyUrl, limits.upstream),
    service: new UpstreamPool(options.serviceUrl, limits.upstream),
  };
  const deps = {
    upstreams,
    routeOf,
    readClient: createClientReader(options.trustedProxies),
    canaryBy: options.canaryBy,
    evidence,
    observer,
    log,
    limits,
    headsInFlight,
    comparedBytes: new ByteBudget(limits.comparedBytes),
    uploads: new InFlight<ProxiedRequest>(),
    left: options.onDeparture,
    over: (proxied: ProxiedRequest) => {
      inFlight.delete(proxied);
      clients.get(proxied.request.socket)?.end(proxied);
    },
    closes: (proxied: ProxiedRequest) => clients.get(proxied.request.socket)?.close(),
    isStopping: () => isStopping,
  };

  const server = createServer({
    IncomingMessage: ClientRequest,
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headerMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: limits.sweepMs,
    // Answered here instead, as JSON.
    requireHostHeader: false,
    noDelay: true,
  });
  // A client that has ended its side gets its answer. Otherwise Node's server ends the other side, too,
  // and drops what has just come.
  Object.assign(server, { httpAllowHalfOpen: true });
  // Beyond its default of 2,000 headers a server of Node drops the others without a word. Here those
  // beyond far fewer are refused.
  server.maxHeadersCount = 0;

  const refuse = (
    client: Client,
    response: ServerResponse,
    status: ErrorResponseStatus,
    sentence: string,
  ) => {
    client.close();
    const { reason, headers, body } = errorResponse(status, sentence);
    response.sendDate = false;
    response.shouldKeepAlive = false;
    response.writeHead(status, reason, headers);
    response.end(body);
    log("info", "refused", { status });
  };
  const serve = (request: ClientRequest, response: ServerResponse) => {
    const client = clients.get(request.socket);
    // Without a listener an aborted request would end the process.
    request.on("error", ignore);
    response.on("error", ignore);
    // A connection beyond the most has got its answer already, or will get its last one in turn.
    if (client === undefined || client.isClosing) return;
    client.wasUsed = true;
    const head = readRequestHead(request, client.peer);
    if ("mistake" in head) return refuse(client, response, head.status, head.mistake);
    const hasBody = head.isChunked || head.length !== undefined;
    if (
      inFlight.size - headsInFlight.size >= limits.inFlight ||
      (hasBody && headsInFlight.size >= limits.headsInFlight) ||
      client.requests.size >= limits.pipelined
    ) {
      const { method = "GET", url = "/" } = request;
      const due = new DueComparison(deps, decide(deps, method, url, head, client.peer));
      due.begin();
      due.lost("overload");
      return refuse(client, response, 503, "Too busy, try again soon");
    }
    const proxied = new ProxiedRequest(deps, request, response, head, client.peer);
    inFlight.add(proxied);
    client.begin(proxied);
    // What follows on an upgrade in the same packet is lost to Deno's server.
    if (head.requestsUpgrade) client.close();
    proxied.start();
  };

  server.on("connection", (socket) => {
    if (clients.size >= limits.connections) {
      endWith(socket, 503, "Too many connections, try again soon");
      return;
    }
    const client = new Client(socket, peerOf(socket.remoteAddress ?? "", isTrusted), limits);
    clients.set(socket, client);
    socket.on("end", () => {
      for (const proxied of client.requests) proxied.clientEnded();
    });
    // Before the server's own listener, which throws away what has come and wasn't looked at. It tells
    // nobody of the answers that wait behind another one.
    socket.prependListener("close", () => {
      for (const proxied of client.requests) proxied.clientLeft();
      clients.delete(socket);
    });
  });
  server.on("request", serve);
  // The client is told to go on as soon as its request is found to be acceptable.
  server.on("checkContinue", serve);
  server.on("checkExpectation", serve);
  server.on("connect", (_request, socket) => {
    socket.on("error", ignore);
    const client = socket instanceof net.Socket ? clients.get(socket) : undefined;
    if (client === undefined) {
      socket.destroy();
      return;
    }
    // The server, which has handed the connection over, tells nobody any more that it takes more.
    socket.on("drain", () => {
      for (const { response } of client.requests) if (response.socket) response.emit("drain");
    });
    client.refuse(405, "This is no proxy for CONNECT");
    log("info", "refused", { status: 405 });
  });
  server.on("clientError", (error, socket) => {
    detachParser(socket);
    const client = socket instanceof net.Socket ? clients.get(socket) : undefined;
    const isGone = "code" in error && error.code === "ECONNRESET";
    if (isGone || client === undefined || !socket.writable) {
      socket.destroy();
      return;
    }
    if (client.isClosing) return;
    const [status, sentence] = describeMistake(error);
    client.refuse(status, sentence);
    log("info", "refused", { status });
  });

  const sweeper = setInterval(() => {
    const now = performance.now();
    upstreams.legacy.sweep(now);
    upstreams.service.sweep(now);
    for (const proxied of inFlight) proxied.sweep(now);
    for (const client of clients.values()) client.sweep(now);
  }, limits.sweepMs);

  await listen(server, options);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the front has no port");
  return {
    port: address.port,
    get comparedBytesLeft() {
      return deps.comparedBytes.left;
    },
    close: async (graceMs) => {
      isStopping = true;
      const until = performance.now() + graceMs;
      // A connection that waits to be accepted may hold a write whose client has left already: the
      // system would throw it away with the port. In turns, each of which accepts what waits: a process
      // that was stopped meanwhile would find one long pause over.
      const turnMs = Math.min(LINGER_MS, graceMs) / LINGER_TURNS;
      for (let turn = 0; turn < LINGER_TURNS; turn++) await delay(turnMs);
      // Not the method of `http`, which closes idle connections at once: a client may be about to use
      // one of them.
      net.Server.prototype.close.call(server);
      do await delay(turnMs); while (inFlight.size > 0 && performance.now() < until);
      const wasClean = inFlight.size === 0;
      for (const proxied of inFlight) proxied.cut();
      server.closeAllConnections();
      server.close();
      clearInterval(sweeper);
      upstreams.legacy.close();
      upstreams.service.close();
      return wasClean;
    },
  };
}

/**
 * Keeps what still comes on a connection from the server's parser. Deno's server has given that to the
 * next connection by now, and would go on reading both connections with it: what one client sends would
 * become a part of another one's request.
 */
function detachParser(socket: Duplex): void {
  socket.removeAllListeners("data");
  socket.removeAllListeners("end");
}

function describeMistake(error: Error): [status: ErrorResponseStatus, sentence: string] {
  switch ("code" in error ? error.code : undefined) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return [408, "The request took too long to arrive"];
    case "HPE_HEADER_OVERFLOW":
      return [431, "The headers are too long"];
    default:
      return [400, "This is no request of HTTP/1.1"];
  }
}

function listen(server: net.Server, { hostname, port }: GatewayServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

const ignore = () => {};
