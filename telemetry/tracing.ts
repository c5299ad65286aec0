import {
  type Attributes,
  type Context,
  context,
  type Link,
  ProxyTracerProvider,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";

/*
 * Traces. Deno makes the spans of its servers and sends all spans, when `OTEL_DENO=true` is set at the
 * start (https://docs.deno.com/runtime/fundamentals/open_telemetry/). Lotline adds those below.
 * Without the setting nothing here makes a span: see docs/tracing.md.
 */

/** Deno registers its provider before the first module runs; otherwise the package has its own. */
const tracer = trace.getTracerProvider() instanceof ProxyTracerProvider
  ? undefined
  : trace.getTracer("lotline");

/** Whether spans are made. It never changes while a process runs. */
export const isTracing = tracer !== undefined;

/** A client's path and query may hold anything, such as an email. */
const URL_ATTRIBUTES: ReadonlySet<string> = new Set(["url.full", "url.path", "url.query"]);

/** The span of the request that a server of Deno is about to emit. */
let newServerSpan: Span | undefined;

if (tracer !== undefined) keepUrlsOut(tracer);

/**
 * Keeps the URLs of requests out of the spans that Deno makes: an attribute that is set can't be
 * replaced or removed. Tests fail when Deno sets them another way.
 */
function keepUrlsOut(tracer: Tracer): void {
  // Never ended, so never sent.
  const prototype: Span = Object.getPrototypeOf(tracer.startSpan("prototype"));
  const { setAttribute } = prototype;
  prototype.setAttribute = function (this: Span, name, value) {
    if (!URL_ATTRIBUTES.has(name)) return setAttribute.call(this, name, value);
    newServerSpan = this;
    return this;
  };
}

/**
 * The span of a request to a `node:http` server, for its `request` event only. Deno makes the span right
 * before the event, and doesn't make it the active one.
 */
export function takeServerSpan(): Span | undefined {
  const span = newServerSpan;
  newServerSpan = undefined;
  return span;
}

/** Of the active span, for a log line; undefined when there is none. */
export function activeTraceId(): string | undefined {
  return isTracing ? trace.getActiveSpan()?.spanContext().traceId : undefined;
}

/** The active span as a `traceparent`, to be stored or sent; undefined when there is none. */
export function activeTraceparent(): string | undefined {
  if (!isTracing) return undefined;
  const span = trace.getActiveSpan();
  return span && traceparentOf(span);
}

/** https://www.w3.org/TR/trace-context/#traceparent-header */
export function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-0${traceFlags & 1}`;
}

const TRACEPARENT = /^00-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-0([01])$/;

/** The span that a stored `traceparent` names; undefined for any other text. */
export function readTraceparent(text: string): SpanContext | undefined {
  const [, traceId, spanId, flag] = TRACEPARENT.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number(flag), isRemote: true };
}

/** The most causes of one span. */
export const MAX_CAUSES = 16;

export interface SpanOptions {
  readonly kind?: "internal" | "client" | "consumer";
  readonly attributes?: Attributes;
  /** The parent, instead of the active span. */
  readonly parent?: Span | undefined;
  /**
   * What caused it in another process: a `traceparent`, or several with commas between. The first is
   * the parent, the others are links.
   */
  readonly causes?: string | null | undefined;
}

const KINDS = {
  internal: SpanKind.INTERNAL,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
};

/** Starts a span, to be ended by {@link endSpan}; undefined when traces are off. */
export function startSpan(name: string, options: SpanOptions = {}): Span | undefined {
  if (tracer === undefined) return undefined;
  const { kind = "internal", attributes = {}, parent, causes } = options;
  const [cause, ...others] = (causes ?? "").split(",", MAX_CAUSES)
    .flatMap((text) => readTraceparent(text) ?? []);
  const links: Link[] = others.map((context) => ({ context }));
  return tracer.startSpan(name, { kind: KINDS[kind], attributes, links }, parentOf(parent, cause));
}

function parentOf(parent: Span | undefined, cause: SpanContext | undefined): Context {
  const active = context.active();
  if (parent !== undefined) return trace.setSpan(active, parent);
  return cause === undefined ? active : trace.setSpanContext(active, cause);
}

/** Ends a span, once. `failure` is a name or a code, never a message: that may quote a value. */
export function endSpan(span: Span | undefined, failure?: string): void {
  if (span === undefined) return;
  if (failure !== undefined) {
    span.setAttribute("error.type", failure);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

/** Runs `work` within a span of its own; without traces it only runs it. */
export async function inSpan<T>(
  name: string,
  options: SpanOptions,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  const span = startSpan(name, options);
  if (span === undefined) return await work(undefined);
  let failure: string | undefined;
  try {
    return await context.with(trace.setSpan(context.active(), span), () => work(span));
  } catch (error) {
    failure = failureOf(error);
    throw error;
  } finally {
    endSpan(span, failure);
  }
}

/** The code of an error, such as PostgreSQL's `23505`, or else its name. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error ? String(error.code) : error.name;
}

/** Names the active span of a request, and says what is known of it at its end. */
export function describeRequestSpan(name: string, attributes: Attributes): void {
  if (!isTracing) return;
  trace.getActiveSpan()?.updateName(name).setAttributes(attributes);
}

/** Whether there is a span that other spans belong to: without one, the work is the process's own. */
export function hasActiveSpan(): boolean {
  return isTracing && trace.getActiveSpan() !== undefined;
}
