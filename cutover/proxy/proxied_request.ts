import type { ServerResponse } from "node:http";
import { ALWAYS_CAPTURED_BYTES, BodyCapture } from "../exchange/body_capture.ts";
import { headText, type ResponseHead } from "../exchange/response_head.ts";
import { type BodyListener, ClientBody, type ClientRequest } from "./request_body.ts";
import { type Departure, departureOf } from "../exchange/departure.ts";
import { DueComparison, failureOf } from "./due_comparison.ts";
import type { CapturedRequest, Exchange } from "../exchange/exchange.ts";
import type { ProxyDeps } from "./proxied_request_deps.ts";
import { headersForClient, interimText, toHeaderLines } from "../exchange/hop_by_hop.ts";
import {
  BROKEN_RESPONSE,
  type ErrorResponse,
  errorResponse,
  NO_RESPONSE,
  STOPPED,
  STOPPING,
} from "./client_response.ts";
import { DeferredResponse, type ResponseHeadToSend } from "./deferred_response.ts";
import type { Peer, RequestHead } from "./request_head.ts";
import { beginRequestTrace } from "./request_trace.ts";
import type { Upstream } from "../exchange/route.ts";
import {
  type Connection,
  type Failure,
  UpstreamRequest,
  type UpstreamRequestListener,
} from "../upstream/connection.ts";
import { decide, decideFallback, type Decision } from "./decide.ts";

/** A client's request on its way to an upstream, and the response on its way back. */
export class ProxiedRequest implements BodyListener, UpstreamRequestListener {
  readonly #startedAt = performance.now();
  readonly #method: string;
  readonly #target: string;
  #decision: Decision;
  readonly #body: ClientBody;
  readonly #due: DueComparison;
  readonly #deferred: DeferredResponse;
  #attempt: UpstreamRequest | undefined;
  /** Of the attempt, or of the first one while there is none. */
  #upstream: Upstream;
  /** An upstream has it, or it was refused. */
  #isSent = false;
  #fellBack = false;
  /** Lotline's 5xx, for the case that the old server doesn't respond. */
  #held: { readonly head: ResponseHead; readonly body: Uint8Array } | undefined;
  #isHolding = false;
  /** When the request was complete, in ms since 1970. */
  #completeAt = 0;
  /** Since when the client reads nothing, by `performance.now()`. */
  #blockedAt: number | undefined;
  #status = 0;
  #isLast = false;
  #departure: Departure | undefined;
  /** When the client's connection closed before its response was sent, by `performance.now()`. */
  #leftAt: number | undefined;
  #isFinished = false;
  /** Undefined while traces are off. */
  readonly #trace = beginRequestTrace();

  constructor(
    readonly deps: ProxyDeps<ProxiedRequest>,
    readonly request: ClientRequest,
    readonly response: ServerResponse,
    readonly head: RequestHead,
    readonly peer: Peer,
  ) {
    this.#method = request.method ?? "GET";
    this.#target = request.url ?? "/";
    this.#decision = decide(deps, this.#method, this.#target, head, peer);
    this.#upstream = this.#decision.upstream;
    this.#trace?.describe(this.#method, this.#decision.route?.operation, head.requestId);
    this.#due = new DueComparison(deps, this.#decision);
    this.#body = new ClientBody(request, head, deps.limits.bodyBytes, this);
    this.#deferred = new DeferredResponse(response, this);
    response.on("close", () => response.writableFinished ? this.#finish() : this.clientLeft());
    response.on("drain", () => this.continues());
  }

  continues(): void {
    if (this.response.writableEnded) return;
    this.#blockedAt = undefined;
    this.#attempt?.connection?.resume();
  }

  start(): void {
    if ((this.head.length ?? 0) > this.deps.limits.bodyBytes) return this.bodyIsTooLarge();
    if (this.head.awaitsContinue) {
      setTimeout(() => this.#sendContinue(), this.deps.limits.continueMs);
    }
    if (this.#body.isComplete) this.bodyIsComplete();
    else this.deps.headsInFlight.add(this);
  }

  /** Enforces the deadlines. To be called a few times a second. */
  sweep(now: number): void {
    // The client still reads the responses before it.
    if (this.#blockedAt !== undefined && !this.#deferred.isInTurn) this.#blockedAt = now;
    if (this.#blockedAt !== undefined && now > this.#blockedAt + this.deps.limits.writeMs) {
      return this.cut();
    }
    // The upstream has executed it, and is slow to send the rest of its response.
    if (this.#leftAt !== undefined && this.#attempt?.response !== undefined) {
      if (now > this.#leftAt + this.deps.limits.upstream.responseTimeoutMs) this.cut();
      return;
    }
    if (!this.#isSent && !this.#body.isComplete) this.#forwardAsItArrives(now);
    else this.#withdraw();
  }

  /**
   * Ends it for a gateway that stops. The client gets an error, unless a part of its response was sent.
   */
  stop(): void {
    // No upstream executes an incomplete request.
    const isSent = this.#body.isComplete && this.#attempt?.connection !== undefined;
    this.#isLast = true;
    this.deps.onLastRequest(this);
    if (!this.response.writableEnded) this.#cancel(isSent ? STOPPED : STOPPING);
  }

  /** Ends it at once: closes the client's connection and cancels the upstream's request. */
  cut(): void {
    this.#attempt?.abort();
    this.#finish();
    const { socket } = this.request;
    // A reset, so that a response that ends with its connection doesn't look complete.
    if (!socket.destroyed) socket.resetAndDestroy();
  }

  /** The client has closed its sending half; it may still read its response. */
  clientEnded(): void {
    if (this.response.writableEnded) return;
    this.#departure = this.request.complete ? "half_closed" : "incomplete";
    if (this.request.complete) return;
    this.response.shouldKeepAlive = false;
    this.#cancel([400, "The request ended too early"]);
  }

  /** The client's connection is closed, and its response isn't sent. */
  clientLeft(): void {
    if (this.#isFinished || this.#leftAt !== undefined) return;
    this.#leftAt = performance.now();
    this.#body.readRest();
    const { isComplete } = this.#body;
    this.#departure = departureOf({ isComplete, outlivesClient: this.#decision.outlivesClient });
    if (this.#departure === "carried_out" && !this.response.writableEnded) {
      this.#blockedAt = undefined;
      this.#attempt?.connection?.resume();
      return;
    }
    this.#attempt?.abort();
    this.#finish();
  }

  bodyIsComplete(): void {
    this.deps.uploads.delete(this);
    this.#completeAt = Date.now();
    if (this.#isSent || this.#isFinished) return;
    this.#markSent();
    this.#due.begin();
    const { route, comparable, compared } = this.#decision;
    if (compared !== "dry_run" || !comparable || !route) return this.#sendTo(this.#upstream);
    this.deps.observer.dryRun(this.#captured(), comparable, route).then((dryRun) => {
      this.#due.dryRun = dryRun;
      if (!this.#isFinished) this.#sendTo(this.#upstream);
    });
  }

  bodyIsLong(): void {
    if (!this.#isSent && !this.#isFinished) this.#forwardAsItArrives(performance.now());
  }

  bodyIsTooLarge(): void {
    this.deps.onLastRequest(this);
    this.refuse([413, `The body is larger than ${this.deps.limits.bodyBytes} bytes`]);
  }

  /** Refuses it while it arrives, with everything after it on its connection. */
  refuse(refusal: ErrorResponse): void {
    this.#isLast = true;
    this.#cancel(refusal);
  }

  send(connection: Connection): void {
    const fallback = this.#findFallback();
    // Not at once: the pool is about to hand over its connection.
    if (fallback !== undefined) return queueMicrotask(() => this.#reroute(fallback));
    const { needsHost, lines } = this.head;
    const { authority } = this.deps.upstreams[this.#upstream];
    const sent = this.#trace === undefined ? lines : this.#trace.linesFor(this.#upstream, lines);
    const fields = needsHost ? ["Host", authority, ...sent] : sent;
    this.#body.sendTo(connection, headText(`${this.#method} ${this.#target} HTTP/1.1`, fields));
  }

  drained(): void {
    this.#body.drained();
  }

  interim(head: ResponseHead): void {
    if (this.request.httpVersion === "1.0" || this.#deferred.hasHead) return;
    // The gateway responds to `Expect: 100-continue` itself: no client waits for an upstream's 100.
    if (head.status === 100 || this.#leftAt !== undefined) return;
    this.response.socket?.write(interimText(head), "latin1");
  }

  responseBegins(attempt: UpstreamRequest, head: ResponseHead): void {
    if (this.#leftAt !== undefined) this.#leftAt = performance.now();
    if (this.#upstream === "service" && head.status >= 500 && this.#canFallBack(true)) {
      this.#isHolding = true;
      attempt.capture = new BodyCapture(ALWAYS_CAPTURED_BYTES);
      return;
    }
    this.#forwardHead(head);
  }

  responseContinues(attempt: UpstreamRequest, chunk: Uint8Array): void {
    if (this.#isHolding) {
      if (attempt.capture?.body === undefined) {
        attempt.abort();
        this.#finishHeld(attempt);
      }
      return;
    }
    if (this.#leftAt !== undefined) return;
    if (!this.#deferred.write(chunk)) {
      this.#blockedAt ??= performance.now();
      attempt.connection?.pause();
    }
  }

  responseEnds(attempt: UpstreamRequest, last: Uint8Array | undefined): void {
    if (this.#isHolding) return this.#finishHeld(attempt);
    const { ms } = attempt;
    this.#trace?.upstreamEnded();
    if (this.#leftAt === undefined && !this.#deferred.sendHead()) return;
    this.#countResponse(this.#status, ms);
    this.#due.observe(attempt, this.#upstream, ms, this.#completeAt, () => this.#captured());
    this.#blockedAt ??= attempt.sentAt + ms;
    this.#endResponse(last);
  }

  failed(attempt: UpstreamRequest, failure: Failure): void {
    const { kind, wasReused, wasSent } = failure;
    this.#trace?.upstreamEnded(kind);
    const isStale = kind === "reset" && wasReused && attempt.response === undefined;
    // Only once, since a new connection isn't reused.
    if (isStale && this.#decision.isSafe && this.#body.canBeSent) {
      return this.#sendTo(this.#upstream, "none");
    }
    this.#countResponse(0, attempt.ms);
    this.#isHolding = false;
    const { isSent } = this.#deferred;
    if (!isSent && this.#upstream === "service" && this.#canFallBack(wasSent)) {
      // Without a connection Lotline had no chance to respond, and the comparison requests it again.
      const earlier = kind === "busy" ? undefined : { failure: failureOf(kind), ms: attempt.ms };
      return this.#fallBack(earlier);
    }
    this.#due.failed(kind);
    if (isSent) return this.cut();
    if (this.#held === undefined) {
      const hadHead = attempt.response !== undefined && kind !== "timeout";
      return this.#respond(hadHead ? BROKEN_RESPONSE : NO_RESPONSE[kind]);
    }
    this.#forwardHead(this.#held.head);
    this.#endResponse(this.#held.body);
  }

  #forwardAsItArrives(now: number): void {
    const { uploads, limits } = this.deps;
    const isEarly = now < this.#startedAt + limits.comparedMs;
    if (this.#due.waitsFor(this.#body, this.head.length ?? limits.bodyBytes, isEarly)) return;
    if (now < this.#startedAt + limits.headTimeoutMs || uploads.size >= limits.uploads) return;
    uploads.add(this);
    this.#markSent();
    this.#due.begin();
    this.#due.lost("queue");
    this.#sendTo(this.#upstream);
  }

  #findFallback(): Decision | undefined {
    if (this.#upstream !== "service") return undefined;
    return decideFallback(this.deps, this.#decision, this.head, this.peer);
  }

  #reroute(fallback: Decision): void {
    if (this.#isFinished) return;
    this.#attempt?.abort();
    this.#due.lost("route_changed");
    this.#decision = fallback;
    this.#sendTo("legacy");
  }

  /** Cancels the request to Lotline if its route has returned while Lotline doesn't have it completely. */
  #withdraw(): void {
    if (this.#attempt === undefined) return;
    const isSent = this.#attempt.connection !== undefined;
    if (isSent && this.#body.isComplete) return;
    if (this.#deferred.hasHead || this.#isHolding) return;
    const fallback = this.#findFallback();
    if (fallback === undefined) return;
    if (!isSent) return this.#reroute(fallback);
    // Lotline executes no incomplete request, and the bytes that it has can't be sent again.
    this.#attempt?.abort();
    this.#respond([503, "The route has changed, send the request again"]);
  }

  #markSent(): void {
    this.#isSent = true;
    this.deps.headsInFlight.delete(this);
  }

  #sendTo(upstream: Upstream, reusedConnections?: "none"): void {
    this.#upstream = upstream;
    this.#trace?.sentTo(upstream, this.#method);
    const attempt = new UpstreamRequest(
      this.deps.upstreams[upstream],
      this.#method,
      reusedConnections ?? (this.#decision.isSafe ? "any" : "recent"),
      this,
      this.#due.newCapture(),
    );
    this.#attempt = attempt;
    attempt.pool.send(attempt);
  }

  #canFallBack(wasSent: boolean): boolean {
    const { comparable, isSafe } = this.#decision;
    return !this.#fellBack && comparable !== undefined && this.#body.canBeSent &&
      (!wasSent || isSafe);
  }

  /** @param earlier Lotline's response, which is compared with the old server's */
  #fallBack(earlier: Exchange | undefined): void {
    this.#fellBack = true;
    this.#due.earlier = earlier;
    this.#sendTo("legacy");
  }

  #finishHeld(attempt: UpstreamRequest): void {
    const { response: head, capture, ms } = attempt;
    if (head === undefined) return;
    this.#isHolding = false;
    this.#countResponse(head.status, ms);
    const body = capture?.body;
    if (body === undefined) return this.#fallBack({ failure: "too_large", ms });
    this.#held = { head, body };
    this.#fallBack({ status: head.status, headers: toHeaderLines(head.headers), body, ms });
  }

  #forwardHead({ status, reason, headers }: ResponseHead): void {
    this.#begin({ status, reason, headers: headersForClient(headers, this.head.requestId) });
  }

  #begin(head: ResponseHeadToSend): void {
    this.#status = head.status;
    if (this.#leftAt === undefined) this.#deferred.begin(head);
  }

  isLast(): boolean {
    return this.#isLast || this.head.requestsUpgrade || this.deps.isStopping();
  }

  headIsRefused(): void {
    this.#attempt?.abort();
    if (this.#attempt !== undefined) this.#countResponse(0, this.#attempt.ms);
    this.#due.failed("broken");
    this.#respond(BROKEN_RESPONSE);
  }

  /** Cancels the upstream's request and responds with an error; a response that has begun is cut. */
  #cancel(error: ErrorResponse): void {
    this.#attempt?.abort();
    this.#markSent();
    if (this.#deferred.isSent) this.cut();
    else this.#respond(error);
  }

  #respond(error: ErrorResponse): void {
    const { body, ...head } = errorResponse(error, this.head.requestId);
    this.#begin(head);
    this.#endResponse(body);
  }

  #endResponse(last: Uint8Array | undefined): void {
    if (this.#leftAt !== undefined) return this.#finish();
    this.#blockedAt ??= performance.now();
    this.#deferred.end(last);
    this.#body.drop();
  }

  /** Delayed behind a body that arrives by itself: writing after its client left would lose that. */
  #sendContinue(): void {
    const isLate = this.#isFinished || this.#leftAt !== undefined || this.#deferred.hasHead;
    if (!isLate) this.response.writeContinue();
  }

  #countResponse(status: number, ms: number): void {
    const { evidence } = this.deps;
    const { route } = this.#decision;
    if (route) evidence.responded(route.operation, route, this.#upstream, status, ms);
    else evidence.unknown(this.#method, this.#target, status);
  }

  #captured(): CapturedRequest {
    const captured = {
      method: this.#method,
      target: this.#target,
      headers: toHeaderLines(this.head.lines),
      body: this.#body.bytes(),
    };
    return this.#trace?.captured(captured) ?? captured;
  }

  #finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.deps.headsInFlight.delete(this);
    this.deps.uploads.delete(this);
    const { route, bucket } = this.#decision;
    const operation = route?.operation;
    // The upstream that had it last: what the old server did in Lotline's place wasn't moved.
    const upstream = this.#attempt && this.#upstream;
    if (route && upstream && bucket !== undefined && !this.head.isProbe) {
      this.deps.evidence.served(route.operation, route, upstream, bucket);
    }
    this.#due.finish(this.deps.isStopping() ? "stopped" : "client_left");
    this.deps.onFinish(this);
    if (this.#departure !== undefined) this.deps.onDeparture(operation, this.#departure);
    this.#trace?.finish(this.#departure);
    const ms = performance.now() - this.#startedAt;
    const isSent = this.response.writableFinished;
    const hasLeft = this.#departure !== undefined;
    this.deps.onEnd(operation, isSent ? this.#status : hasLeft ? "left" : "cut", ms);
    this.deps.log(this.#status >= 500 ? "error" : "info", "request", {
      method: this.#method,
      operation: operation ?? "unknown",
      side: upstream,
      status: this.#status,
      ms: Math.round(ms * 10) / 10,
      request_id: this.head.requestId,
      fell_back: this.#fellBack || undefined,
      cut: !isSent || undefined,
      client_left: this.#departure,
      trace_id: this.#trace?.id,
    });
  }
}
