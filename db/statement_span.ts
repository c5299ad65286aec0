import { endSpan, failureOf, hasActiveSpan, startSpan } from "../telemetry/tracing.ts";
import { onceSettled, type Query } from "./driver.ts";

const traced = new WeakSet<Query>();

/**
 * Makes a span for a statement that is a part of a request or a job. It is named by what the statement
 * does and to which table: its text may hold values of a constant, and its parameters those of a person.
 */
export function traceStatement(query: Query): void {
  if (!hasActiveSpan() || traced.has(query)) return;
  traced.add(query);
  const { operation, table } = summaryOf(query.strings);
  const name = table === undefined ? operation : `${operation} ${table}`;
  const span = startSpan(name, {
    kind: "client",
    attributes: {
      "db.system.name": "postgresql",
      "db.operation.name": operation,
      "db.query.summary": name,
      ...(table !== undefined && { "db.collection.name": table }),
    },
  });
  onceSettled(query, (failure) => endSpan(span, failure && failureOf(failure.error)));
}

/** As much of a statement as is read. */
const MAX_LETTERS = 2_000;
const WRITES = /\b(insert\s+into|delete\s+from|update)\s+([a-z_][\w.]*)/i;
const READS = /\bfrom\s+([a-z_][\w.]*)/i;

/** What a statement of Lotline does: its first write, or else its first read. */
export function summaryOf(strings: readonly string[]): {
  readonly operation: string;
  readonly table?: string;
} {
  const text = strings.join("?").slice(0, MAX_LETTERS);
  const [, verb, written] = WRITES.exec(text) ?? [];
  if (verb !== undefined && written !== undefined) {
    return { operation: verb.slice(0, 6).toUpperCase(), table: written };
  }
  const operation = /[a-z]+/i.exec(text)?.[0].toUpperCase() ?? "STATEMENT";
  const table = READS.exec(text)?.[1];
  const isRead = operation === "SELECT" || operation === "WITH";
  return isRead && table !== undefined ? { operation: "SELECT", table } : { operation };
}
