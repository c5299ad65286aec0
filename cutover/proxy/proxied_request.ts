import type { ServerResponse } from "node:http";
import type { ResponseHead } from "../exchange/response_head.ts";
import { UpstreamRequest, type UpstreamRequestListener } from "../upstream/upstream_request.ts";
import { type BodyListener, ClientBody } from "./request_body.ts";
import type { ClientRequest } from "./client_request.ts";
import { type Departure, departureOf } from "../exchange/departure.ts";
import { DueComparison, failureOf } from "./due_comparison.ts";
import { endResponse } from "./end_response.ts";
import type { CapturedRequest, Exchange } from "../exchange/exchange.ts";
import type { ProxyDeps } from "./proxied_request_deps.ts";
import { interimBytes, passedToClient, toHeaderLines } from "../exchange/hop_by_hop.ts";
import {
  type ErrorResponse,
  errorResponse,
  type ErrorResponseStatus,
  NO_RESPONSE,
} from "./error_response.ts";
import { headText } from "../upstream/request_text.ts";
import type { Peer, RequestHead } from "./request_head.ts";
import type { Upstream } from "../exchange/route.ts";
import type { Connection, Failure } from "../upstream/connection.ts";
import { countClient, decide, decideFallback, type Decision } from "./decide.ts";

/** One request of a client on its way to a side, and the answer on its way back. */
export class ProxiedRequest implements BodyListener, UpstreamRequestListener {
  readonly #startedAt = performance.now();
  readonly #method: string;
  readonly #target: string;
  #way: Decision;
  readonly #body: ClientBody;
  readonly #due: DueComparison;
  #attempt: UpstreamRequest | undefined;
  #isAsking = false;
  #fellBack = false;
  /** Lotline's 5xx, kept in case the old server has no answer at all. */
  #held: { readonly head: ResponseHead; readonly body: Uint8Array } | undefined;
  #isHolding = false;
  #readAt = 0;
  /** Since when the client takes nothing, by `performance.now()`. */
  #blockedAt: number | undefined;
  #status = 0;
  #isLast = false;
  #departure: Departure | undefined;
  /** When the client's connection was closed before the answer was out, by `performance.now()`. */
  #leftAt: number | undefined;
  #isOver = false;

  constructor(
    readonly deps: ProxyDeps<ProxiedRequest>,
    readonly request: ClientRequest,
    readonly response: ServerResponse,
    readonly head: RequestHead,
    readonly peer: Peer,
  ) {
    this.#method = request.method ?? "GET";
    this.#target = request.url ?? "/";
    this.#way = decide(deps, this.#method, this.#target, head, peer);
    this.#due = new DueComparison(deps, this.#way);
    this.#body = new ClientBody(request, head, deps.limits.bodyBytes, this);
    response.on("close", () => response.writableFinished ? this.#finish() : this.clientLeft());
    response.on("drain", () => this.#clientTakesMore());
  }

  start(): void {
    if ((this.head.length ?? 0) > this.deps.limits.bodyBytes) return this.bodyIsTooLarge();
    if (this.head.awaitsContinue) setTimeout(() => this.#tellToGoOn(), this.deps.limits.continueMs);
    if (this.#body.isWhole) this.bodyIsWhole();
    else this.deps.headsInFlight.add(this);
  }

  /** To be called a few times a second. */
  sweep(now: number): void {
    if (this.#blockedAt !== undefined && now > this.#blockedAt + this.deps.limits.writeMs) {
      return this.cut();
    }
    // It was carried out, and only the side is slow to say so.
    if (this.#leftAt !== undefined && this.#attempt?.answer !== undefined) {
      if (now > this.#leftAt + this.deps.limits.upstream.responseTimeoutMs) this.cut();
      return;
    }
    if (!this.#isAsking && !this.#body.isWhole) this.#passOnAsItComes(now);
    else this.#breakOff();
  }

  /** Ends it at once: the client's connection is closed, and nothing is asked any more. */
  cut(): void {
    this.#attempt?.abort();
    this.#finish();
    const { socket } = this.request;
    // A reset, so that an answer that only ends with its connection can't be taken for whole.
    if (!socket.destroyed) socket.resetAndDestroy();
  }

  /** The client has ended its side of the connection: it may still read its answer. */
  clientEnded(): void {
    if (this.response.writableEnded) return;
    this.#departure = this.request.complete ? "half_closed" : "incomplete";
    if (this.request.complete) return;
    this.#attempt?.abort();
    this.#isGathered();
    if (this.response.headersSent) return this.cut();
    this.response.shouldKeepAlive = false;
    this.#refuse(400, "The request ended too early");
  }

  /** The client's connection is closed, and its answer isn't out. */
  clientLeft(): void {
    if (this.#isOver || this.#leftAt !== undefined) return;
    this.#leftAt = performance.now();
    this.#body.discardRest();
    const isWhole = this.#body.isWhole;
    this.#departure = departureOf({ isWhole, outlivesClient: this.#way.outlivesClient });
    if (this.#departure === "carried_out" && !this.response.writableEnded) {
      this.#blockedAt = undefined;
      this.#attempt?.resume();
      return;
    }
    this.#attempt?.abort();
    this.#finish();
  }

  bodyIsWhole(): void {
    this.deps.uploads.delete(this);
    this.#readAt = Date.now();
    if (this.#isAsking || this.#isOver) return;
    this.#isGathered();
    this.#due.begin();
    const { upstream, comparable: knownToBoth, compared } = this.#way;
    if (compared !== "dry_run" || knownToBoth === undefined) return this.#ask(upstream);
    const { operation, route } = knownToBoth;
    this.deps.observer.dryRun(this.#captured(), operation, route).then((dryRun) => {
      this.#due.dryRun = dryRun;
      if (!this.#isOver) this.#ask(upstream);
    });
  }

  bodyIsLong(): void {
    if (!this.#isAsking && !this.#isOver) this.#passOnAsItComes(performance.now());
  }

  bodyIsTooLarge(): void {
    this.deps.closes(this);
    this.refuse(413, `The body is larger than ${this.deps.limits.bodyBytes} bytes`);
  }

  /** Refuses it while it comes in, and with it all that is behind it on its connection. */
  refuse(status: ErrorResponseStatus, sentence: string): void {
    this.#isLast = true;
    this.#attempt?.abort();
    this.#isGathered();
    if (this.response.headersSent) return this.cut();
    this.#refuse(status, sentence);
  }

  send(connection: Connection): void {
    const fallback = this.#wayBack();
    // Not at once: the side is in the middle of giving out its connection.
    if (fallback !== undefined) return queueMicrotask(() => this.#goBack(fallback));
    const host = this.head.needsHost ? this.#attempt?.pool.authority : undefined;
    this.#body.sendTo(connection, headText(this.#method, this.#target, this.head.lines, host));
  }

  drained(): void {
    this.#body.drained();
  }

  interim(head: ResponseHead): void {
    if (this.request.httpVersion === "1.0" || this.response.headersSent) return;
    // The front itself answers `Expect: 100-continue`: that of a side is one that nobody waits for.
    if (head.status === 100 || this.#leftAt !== undefined) return;
    this.response.socket?.write(interimBytes(head), "latin1");
  }

  responseBegins(attempt: UpstreamRequest, head: ResponseHead): void {
    if (this.#leftAt !== undefined) this.#leftAt = performance.now();
    if (attempt.upstream === "service" && head.status >= 500 && this.#mayFallBack(true)) {
      this.#isHolding = true;
      attempt.captureBody();
      return;
    }
    this.#answer(head.status, head.reason, passedToClient(head.headers, this.head.requestId));
  }

  responseContinues(attempt: UpstreamRequest, chunk: Uint8Array): void {
    if (this.#isHolding) {
      if (attempt.body === undefined) {
        attempt.abort();
        this.#heldIsOver(attempt);
      }
      return;
    }
    if (this.#leftAt !== undefined) return;
    if (!this.response.write(chunk)) {
      this.#blockedAt ??= performance.now();
      attempt.pause();
    }
  }

  responseEnds(attempt: UpstreamRequest, last: Uint8Array | undefined): void {
    if (this.#isHolding) return this.#heldIsOver(attempt);
    const ms = attempt.ms;
    this.#answered(attempt.upstream, this.#status, ms);
    this.#due.observe(attempt, ms, () => this.#captured(), this.#readAt);
    this.#blockedAt ??= attempt.sentAt + ms;
    this.#endAnswer(last);
  }

  failed(attempt: UpstreamRequest, failure: Failure): void {
    const hasStarted = attempt.answer !== undefined;
    if (
      failure.wasReused && failure.kind === "reset" && !hasStarted &&
      this.#way.isSafe && this.#body.canBeSent
    ) {
      // Once: a new connection that is reset is no kept one.
      return this.#ask(attempt.upstream, "none");
    }
    this.#answered(attempt.upstream, 0, attempt.ms);
    this.#isHolding = false;
    const { headersSent } = this.response;
    const isReplaced = !headersSent && attempt.upstream === "service" &&
      this.#mayFallBack(failure.wasSent);
    if (isReplaced) {
      const { kind } = failure;
      // Without a connection Lotline has said nothing, and is asked besides.
      return this.#fallBack(
        kind === "busy" ? undefined : { failure: failureOf(kind), ms: attempt.ms },
      );
    }
    this.#due.failed(failure.kind);
    if (headersSent) return this.cut();
    if (this.#held !== undefined) return this.#answerHeld(this.#held);
    this.#refuse(...NO_RESPONSE[failure.kind]);
  }

  #passOnAsItComes(now: number): void {
    const { uploads, limits } = this.deps;
    const isEarly = now < this.#startedAt + limits.comparedMs;
    if (this.#due.awaitsAll(this.#body, this.head.length ?? limits.bodyBytes, isEarly)) return;
    if (now < this.#startedAt + limits.headTimeoutMs || uploads.size >= limits.uploads) return;
    uploads.add(this);
    this.#isGathered();
    this.#due.begin();
    this.#due.lost("queue");
    this.#ask(this.#way.upstream);
  }

  /** Where it goes instead, when its route has gone back to the old server since its head came. */
  #wayBack(): Decision | undefined {
    if (this.#attempt?.upstream !== "service") return undefined;
    return decideFallback(this.deps, this.#way, this.head, this.peer);
  }

  #goBack(fallback: Decision): void {
    if (this.#isOver) return;
    this.#attempt?.abort();
    this.#due.lost("route_changed");
    this.#way = fallback;
    this.#ask("legacy");
  }

  /** Takes it from Lotline, when its route has gone back and Lotline doesn't have it whole. */
  #breakOff(): void {
    const { isSent } = this.#attempt ?? {};
    if (isSent === undefined || (isSent && this.#body.isWhole)) return;
    if (this.response.headersSent || this.#isHolding) return;
    const fallback = this.#wayBack();
    if (fallback === undefined) return;
    if (!isSent) return this.#goBack(fallback);
    // What Lotline has of it is executed by nobody, and what is gone can't be sent again.
    this.#attempt?.abort();
    this.#refuse(503, "The route has changed, send the request again");
  }

  #isGathered(): void {
    this.#isAsking = true;
    this.deps.headsInFlight.delete(this);
  }

  #ask(upstream: Upstream, kept?: "none"): void {
    const attempt = new UpstreamRequest(
      upstream,
      this.deps.upstreams[upstream],
      this.#method,
      kept ?? (this.#way.isSafe ? "any" : "recent"),
      this,
      this.#due.newCapture(),
    );
    this.#attempt = attempt;
    attempt.pool.send(attempt);
  }

  /** Whether the old server may answer in Lotline's place. */
  #mayFallBack(wasSent: boolean): boolean {
    return !this.#fellBack && this.#way.comparable !== undefined &&
      this.#body.canBeSent && (!wasSent || this.#way.isSafe);
  }

  /** @param earlierResponse what Lotline made of it: the old server's answer is compared with that */
  #fallBack(earlierResponse: Exchange | undefined): void {
    this.#fellBack = true;
    this.#due.earlier = earlierResponse;
    this.#ask("legacy");
  }

  #heldIsOver(attempt: UpstreamRequest): void {
    const { answer: response, body } = attempt;
    if (response === undefined) return;
    this.#isHolding = false;
    this.#answered("service", response.status, attempt.ms);
    const { ms } = attempt;
    if (body === undefined) return this.#fallBack({ failure: "too_large", ms });
    this.#held = { head: response, body };
    const { status, headers } = response;
    this.#fallBack({ status, headers: toHeaderLines(headers), body, ms });
  }

  #answerHeld({ head, body }: { readonly head: ResponseHead; readonly body: Uint8Array }): void {
    this.#answer(head.status, head.reason, passedToClient(head.headers, this.head.requestId));
    this.#endAnswer(body);
  }

  #answer(status: number, reason: string, lines: string[]): void {
    const { response } = this;
    this.#status = status;
    if (this.#leftAt !== undefined) return;
    response.sendDate = false;
    if (this.#isLast || this.head.requestsUpgrade || this.deps.isStopping()) {
      response.shouldKeepAlive = false;
    }
    try {
      response.writeHead(status, reason, lines);
    } catch {
      // A header that may not be sent on, such as one with a control character in it.
      if (this.#attempt !== undefined) {
        this.#attempt.abort();
        this.#answered(this.#attempt.upstream, 0, this.#attempt.ms);
      }
      this.#due.failed("broken");
      this.#refuse(502, "The answer of the server behind this one is broken");
    }
  }

  #refuse(status: ErrorResponseStatus, sentence: string): void {
    const own: ErrorResponse = errorResponse(status, sentence, this.head.requestId);
    this.#answer(own.status, own.reason, own.headers);
    this.#endAnswer(own.body);
  }

  #endAnswer(last: Uint8Array | undefined): void {
    if (this.#leftAt !== undefined) return this.#finish();
    this.#blockedAt ??= performance.now();
    endResponse(this.response, last);
    this.#body.drop();
  }

  /** Later than a body that comes by itself: if its client has left, writing loses what isn't read yet. */
  #tellToGoOn(): void {
    const isLate = this.#isOver || this.#leftAt !== undefined || this.response.headersSent;
    if (!isLate) this.response.writeContinue();
  }

  #clientTakesMore(): void {
    if (this.response.writableEnded) return;
    this.#blockedAt = undefined;
    this.#attempt?.resume();
  }

  #answered(upstream: Upstream, status: number, ms: number): void {
    const { decision: known } = this.#way;
    if (known === undefined) return;
    this.deps.evidence.responded(known.operation, known.route, upstream, status, ms);
  }

  #captured(): CapturedRequest {
    return {
      method: this.#method,
      target: this.#target,
      headers: toHeaderLines(this.head.lines),
      body: this.#body.bytes(),
    };
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.deps.headsInFlight.delete(this);
    this.deps.uploads.delete(this);
    countClient(this.deps.evidence, this.#way, this.head, this.#attempt?.upstream);
    this.#due.finish(this.deps.isStopping() ? "stopped" : "client_left");
    this.deps.over(this);
    const operation = this.#way.decision?.operation;
    if (this.#departure !== undefined) this.deps.left(operation, this.#departure);
    this.deps.log(this.#status >= 500 ? "error" : "info", "request", {
      method: this.#method,
      operation: operation ?? "unknown",
      side: this.#attempt?.upstream,
      status: this.#status,
      ms: Math.round((performance.now() - this.#startedAt) * 10) / 10,
      request_id: this.head.requestId,
      fell_back: this.#fellBack || undefined,
      cut: !this.response.writableFinished || undefined,
      client_left: this.#departure,
    });
  }
}
