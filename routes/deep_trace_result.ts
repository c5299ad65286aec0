import type { Sql } from "../db/sql.ts";
import { findChunkAfter, listChunks } from "../db/trace_chunks.ts";
import { findTraceById, type StoredTrace, type TraceSummary } from "../db/traces.ts";
import { ApiError } from "../errors.ts";

/*
 * Stored results as responses. Lots and links are stored as lines of JSON, which are joined and
 * never parsed. Items are numbered from 0, lots first.
 */

/** A page ends early at this size. */
const MAX_PAGE_BYTES = 2_000_000;

export interface PageRequest {
  readonly limit: number;
  /** The `next_cursor` of another page of the same result. */
  readonly cursor?: string | undefined;
}

/** The trace with one page of its result, as JSON. */
export async function pageOf(sql: Sql, stored: StoredTrace, page: PageRequest): Promise<string> {
  const { run, summary, ...trace } = stored;
  if (run === null || summary === null) {
    if (page.cursor !== undefined) throw wrongCursor();
    return JSON.stringify({ ...trace, result: null });
  }
  const { lot_count, link_count } = summary;
  const all = lot_count + link_count;
  const from = page.cursor === undefined ? 0 : positionOf(page.cursor, run, all);
  const to = Math.min(from + page.limit, all);
  const wanted = {
    lots: { from: Math.min(from, lot_count), to: Math.min(to, lot_count) },
    links: { from: Math.max(from - lot_count, 0), to: Math.max(to - lot_count, 0) },
  };
  const found: Record<"lots" | "links", string[]> = { lots: [], links: [] };
  const chunks = await listChunks(sql, run, { ...wanted, maxBytes: MAX_PAGE_BYTES });
  let bytes = 0;
  for (const chunk of chunks) {
    const { kind, first_line, body } = chunk;
    const { from, to } = wanted[kind];
    if (first_line > from + found[kind].length) await throwLost(sql, trace.id);
    found[kind].push(...body.split("\n").slice(Math.max(0, from - first_line), to - first_line));
    bytes += chunk.bytes;
  }
  const next = from + found.lots.length + found.links.length;
  if (next < to && bytes < MAX_PAGE_BYTES) await throwLost(sql, trace.id);
  return withResult(
    trace,
    `{"lots":[${found.lots}],"links":[${found.links}],` +
      JSON.stringify({ ...inOrder(summary), next_cursor: next < all ? cursorAt(next, run) : null })
        .slice(1),
  );
}

/**
 * The whole trace as lines: the trace, which is the head, its lots, its links, and a last line with
 * their counts. A failure breaks the connection, so that no reader takes a part for the whole.
 */
export function linesOf(sql: Sql, { run, summary, ...trace }: StoredTrace) {
  const result = summary === null ? "null" : JSON.stringify(inOrder(summary));
  const head = `{"type":"trace",${withResult(trace, result).slice(1)}\n`;
  const chunkAfter = async (number: number) =>
    run === null ? undefined : await findChunkAfter(sql, run, number);
  const lines = async function* () {
    yield head;
    const sent = { lots: 0, links: 0 };
    let chunk = await chunkAfter(-1);
    while (chunk !== undefined) {
      const { kind, number, first_line, body } = chunk;
      if (first_line !== sent[kind]) throw lostRows();
      const type = kind === "lots" ? "lot" : "link";
      const lines = body.split("\n").map((line) => `{"type":"${type}",${line.slice(1)}\n`);
      sent[kind] += lines.length;
      yield lines.join("");
      chunk = await chunkAfter(number);
    }
    const { lot_count, link_count } = summary ?? { lot_count: 0, link_count: 0 };
    if (sent.lots !== lot_count || sent.links !== link_count) throw lostRows();
    yield JSON.stringify({ type: "end", lot_count, link_count }) + "\n";
  };
  return { head, lines: lines() };
}

/** Rows of a result were deleted during the read, or are lost. */
const lostRows = () => new Error("rows of a deep trace's result are gone");

/** @throws {ApiError} 404 the trace has been deleted */
async function throwLost(sql: Sql, id: string): Promise<never> {
  throw await findTraceById(sql, id) === undefined ? noSuchTrace() : lostRows();
}

export function noSuchTrace(): ApiError {
  return new ApiError("trace_not_found", "There is no such trace");
}

function withResult(trace: object, result: string): string {
  return `${JSON.stringify(trace).slice(0, -1)},"result":${result}}`;
}

/** `jsonb` does not keep the order of keys. */
function inOrder(summary: TraceSummary) {
  const { lot_count, link_count, depth_reached, truncated, totals, cycles, cycles_truncated } =
    summary;
  return {
    lot_count,
    link_count,
    depth_reached,
    truncated,
    half_links: summary.half_links ?? null,
    totals: totals.map(({ lot_type, lots, weight_kg }) => ({ lot_type, lots, weight_kg })),
    cycles,
    cycles_truncated,
  };
}

/** A `next_cursor`: the result's name and a position in it. */
export const CURSOR_PATTERN = /^([0-9a-f]{8})([1-9a-f][0-9a-f]{0,7})$/;

// A cursor of another result has another run.
const nameOf = (run: string) => run.slice(0, 8);

function cursorAt(position: number, run: string): string {
  return nameOf(run) + position.toString(16);
}

function positionOf(cursor: string, run: string, all: number): number {
  const [, name, digits = ""] = CURSOR_PATTERN.exec(cursor) ?? [];
  const position = parseInt(digits, 16);
  if (name !== nameOf(run) || !(position < all)) throw wrongCursor();
  return position;
}

// 404: the schema, which 422 stands for, can't express to which trace a cursor belongs.
function wrongCursor(): ApiError {
  return new ApiError("page_not_found", "cursor is not a next_cursor of this trace");
}
