import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import net from "node:net";
import type { Duplex } from "node:stream";
import { createClientReader, createProxyCheck } from "../../client_address.ts";
import { delay } from "../../timing.ts";
import type { GatewayLoad } from "../evidence/state_metrics.ts";
import type { Operation } from "../exchange/operations.ts";
import { ByteBudget } from "../exchange/body_capture.ts";
import { Client } from "./client.ts";
import { ClientRequest } from "./request_body.ts";
import { DueComparison } from "./due_comparison.ts";
import { ProxiedRequest } from "./proxied_request.ts";
import type { ProxyDeps, ProxyOptions } from "./proxied_request_deps.ts";
import { type ErrorResponse, errorResponse, respondAndClose } from "./client_response.ts";
import { peerOf, readRequestHead } from "./request_head.ts";
import { InFlight } from "./in_flight.ts";
import { UpstreamPool } from "../upstream/upstream.ts";
import { decide } from "./decide.ts";

export interface GatewayServerOptions extends ProxyOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  readonly legacyUrl: string;
  readonly serviceUrl: string;
  readonly trustedProxies: readonly string[];
}

export type GatewayServer = Awaited<ReturnType<typeof startGatewayServer>>;

/**
 * A stopping server accepts new requests for this long and closes each connection with its response, as
 * HTTP requires; only idle connections are closed without one.
 */
const LINGER_MS = 300;
const LINGER_TURNS = 20;
/** How long the last responses may take to be sent, after the grace period. */
const LAST_RESPONSES_MS = 1_500;

export async function startGatewayServer(options: GatewayServerOptions) {
  const { limits, log } = options;
  const isTrusted = createProxyCheck(options.trustedProxies);
  const inFlight = new InFlight<ProxiedRequest>();
  const headsInFlight = new InFlight<ProxiedRequest>();
  const clients = new Map<net.Socket, Client>();
  let isStopping = false;
  const upstreams = {
    legacy: new UpstreamPool(options.legacyUrl, limits.upstream),
    service: new UpstreamPool(options.serviceUrl, limits.upstream),
  };
  const deps: ProxyDeps<ProxiedRequest> = {
    ...options,
    upstreams,
    readClient: createClientReader(options.trustedProxies),
    headsInFlight,
    comparedBytes: new ByteBudget(limits.comparedBytes),
    uploads: new InFlight(),
    onFinish: (proxied) => {
      inFlight.delete(proxied);
      clients.get(proxied.request.socket)?.end(proxied);
    },
    onLastRequest: (proxied) => clients.get(proxied.request.socket)?.close(),
    isStopping: () => isStopping,
  };

  const server = createServer({
    IncomingMessage: ClientRequest,
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headerMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: limits.sweepMs,
    // Refused below instead, as JSON.
    requireHostHeader: false,
    noDelay: true,
  });
  // A client that has closed its sending half receives its response. Otherwise Node's server closes the
  // other half, too, and drops the bytes that have just arrived.
  Object.assign(server, { httpAllowHalfOpen: true });
  // By default Node's server silently drops headers after the first 2,000. Here far fewer are refused.
  server.maxHeadersCount = 0;

  /** Of a request without a head that could be read: its time isn't known. */
  const onRefused = (status: number) => options.onEnd(undefined, status, 0);
  const refuse = (
    client: Client,
    response: ServerResponse,
    error: ErrorResponse,
    operation?: Operation,
  ) => {
    client.close();
    const { status, reason, headers, body } = errorResponse(error);
    response.sendDate = false;
    response.shouldKeepAlive = false;
    response.writeHead(status, reason, headers);
    response.end(body);
    options.onEnd(operation, status, 0);
    log("info", "refused", { status });
  };
  const serve = (request: ClientRequest, response: ServerResponse) => {
    const client = clients.get(request.socket);
    // Without a listener an aborted request would end the process.
    request.on("error", ignore);
    response.on("error", ignore);
    // The connection has its last response already, or will have it in turn.
    if (client === undefined || client.isClosing) return;
    client.wasUsed = true;
    const head = readRequestHead(request, client.peer);
    if ("mistake" in head) return refuse(client, response, head.mistake);
    const hasBody = head.isChunked || head.length !== undefined;
    if (
      inFlight.size - headsInFlight.size >= limits.inFlight ||
      (hasBody && headsInFlight.size >= limits.headsInFlight) ||
      client.requests.size >= limits.pipelined
    ) {
      const { method = "GET", url = "/" } = request;
      const decision = decide(deps, method, url, head, client.peer);
      const due = new DueComparison(deps, decision);
      due.begin();
      due.lost("overload");
      const operation = decision.route?.operation;
      return refuse(client, response, [503, "Too busy, try again soon"], operation);
    }
    const proxied = new ProxiedRequest(deps, request, response, head, client.peer);
    inFlight.add(proxied);
    client.begin(proxied);
    // Deno's server loses the bytes after an upgrade request in the same packet.
    if (head.requestsUpgrade) client.close();
    proxied.start();
  };

  server.on("connection", (socket) => {
    if (clients.size >= limits.connections) {
      respondAndClose(socket, [503, "Too many connections, try again soon"]);
      onRefused(503);
      return;
    }
    const peer = peerOf(socket.remoteAddress ?? "", isTrusted);
    const client = new Client(socket, peer, limits, onRefused);
    clients.set(socket, client);
    socket.on("end", () => {
      for (const proxied of client.requests) proxied.clientEnded();
    });
    // Before the server's own listener, which drops unread bytes and emits nothing for the responses
    // that wait behind another one.
    socket.prependListener("close", () => {
      for (const proxied of client.requests) proxied.clientLeft();
      clients.delete(socket);
    });
  });
  server.on("request", serve);
  // `100 Continue` is sent only to acceptable requests.
  server.on("checkContinue", serve);
  server.on("checkExpectation", serve);
  server.on("connect", (_request, socket) => {
    socket.on("error", ignore);
    const client = socket instanceof net.Socket ? clients.get(socket) : undefined;
    if (client === undefined) {
      socket.destroy();
      return;
    }
    // The server has handed the connection over and no longer emits `drain` for its responses.
    socket.on("drain", () => {
      for (const { response } of client.requests) if (response.socket) response.emit("drain");
    });
    client.refuse([405, "This is no proxy for CONNECT"]);
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
    const mistake = MISTAKES["code" in error ? String(error.code) : ""] ?? NO_HTTP;
    client.refuse(mistake);
    log("info", "refused", { status: mistake[0] });
  });

  const sweeper = setInterval(() => {
    const now = performance.now();
    upstreams.legacy.sweep(now);
    upstreams.service.sweep(now);
    for (const proxied of inFlight) proxied.sweep(now);
    for (const client of clients.values()) client.sweep(now);
  }, limits.sweepMs);

  server.listen(options.port, options.hostname);
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  return {
    port: address.port,
    get load(): GatewayLoad {
      const { legacy, service } = upstreams;
      return {
        requests: inFlight.size,
        connections: clients.size,
        upstreams: { legacy: legacy.load, service: service.load },
      };
    },
    /** Free memory for the long bodies of exchanges that are compared. */
    get comparedBytesLeft() {
      return deps.comparedBytes.available;
    },
    /**
     * Stops accepting after a moment, waits for requests in flight and closes all connections. Requests
     * that run longer than the grace period are cut; true: there were none.
     */
    close: async (graceMs: number) => {
      isStopping = true;
      const until = performance.now() + graceMs;
      // A connection that waits to be accepted may carry a write whose client has left already: closing
      // the port would drop it. Short turns each accept what waits; after one long delay, a process that
      // was suspended meanwhile would close at once.
      const turnMs = Math.min(LINGER_MS, graceMs) / LINGER_TURNS;
      for (let turn = 0; turn < LINGER_TURNS; turn++) await delay(turnMs);
      // Not the method of `http`, which closes idle connections at once: a client may be about to use
      // one of them.
      net.Server.prototype.close.call(server);
      do await delay(turnMs); while (inFlight.size > 0 && performance.now() < until);
      const wasClean = inFlight.size === 0;
      const last = Array.from(inFlight, ({ request }) => request.socket);
      for (const proxied of inFlight) proxied.stop();
      // Some time to read the responses: a client may send a request without one again, a write too.
      const end = performance.now() + LAST_RESPONSES_MS;
      while (last.some((socket) => clients.has(socket)) && performance.now() < end) {
        await delay(turnMs);
      }
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
 * Detaches a connection from the server's parser. Deno's server has assigned the parser to the next
 * connection by now and would read both connections with it: one client's bytes would become part of
 * another client's request.
 */
function detachParser(socket: Duplex): void {
  socket.removeAllListeners("data");
  socket.removeAllListeners("end");
}

/** By the code of the parser's error. */
const MISTAKES: Readonly<Record<string, ErrorResponse>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, "The request took too long to arrive"],
  HPE_HEADER_OVERFLOW: [431, "The headers are too long"],
};
const NO_HTTP: ErrorResponse = [400, "This is no request of HTTP/1.1"];

const ignore = () => {};
