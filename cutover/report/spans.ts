import type { Mode } from "../exchange/route.ts";
import type { RecordedChange } from "../routes/route_changes.ts";
import { describeMode, modeOf } from "../routes/routing.ts";
import type { Period } from "./report_queries.ts";

/** A time in which a route had one mode in one epoch, within the report's period. */
export interface Span {
  readonly from: string;
  readonly until: string;
  readonly mode: Mode;
  readonly epoch: number;
  /** The change that began it. */
  readonly by: RecordedChange;
}

/** The spans that a route's changes make, oldest first. `changes`: oldest first. */
export function spansOf(changes: readonly RecordedChange[], { since, until }: Period): Span[] {
  const spans: Span[] = [];
  for (const change of changes) {
    const mode = modeOf(change.to_mode ?? "", change.to_percent ?? undefined);
    if (mode === undefined) continue;
    const epoch = change.epoch ?? 0;
    const last = spans.at(-1);
    // Another sample, or a latch that was cleared.
    if (last?.epoch === epoch && describeMode(last.mode) === describeMode(mode)) continue;
    if (last !== undefined) spans[spans.length - 1] = { ...last, until: change.at };
    spans.push({ from: change.at, until, mode, epoch, by: change });
  }
  return spans.filter((span) => span.until > since)
    .map((span) => span.from < since ? { ...span, from: since } : span);
}

/**
 * The spans since a route last went back by itself or by hand. The kill switch goes back for all routes:
 * it says nothing against this one.
 */
export function courseOf(spans: readonly Span[]): readonly Span[] {
  const isReturn = ({ mode, by }: Span) => mode.name === "legacy" && by.what !== "kill";
  return spans.slice(spans.findLastIndex(isReturn) + 1);
}

/** The last spans, without a break, in which Lotline responded to everyone. */
export function serviceSpans(spans: readonly Span[]): readonly Span[] {
  return spans.slice(spans.findLastIndex(({ mode }) => mode.name !== "service") + 1);
}
