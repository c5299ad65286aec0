import type { Report } from "../parity/verify.ts";
import { heading, paragraph } from "./document.ts";
import { toMarkdown } from "./markdown.ts";

/** A check against recordings for a terminal: differences, unused and due approvals, totals. */
export function formatReport({ outcomes, unused, due }: Report): string {
  const count = (verdict: string) => outcomes.filter((one) => one.verdict === verdict).length;
  const wrong = outcomes.filter(({ verdict }) => verdict === "wrong");
  return [
    ...wrong.flatMap(({ exchange, request, approval, differences }) =>
      differences.map((line) =>
        `WRONG ${exchange} (${request}${approval ? `, approved by ${approval}` : ""}): ${line}`
      )
    ),
    ...unused.map((line) => `UNUSED approval ${line}`),
    ...due.map((line) => `WARNING approval ${line}`),
    `${count("same")} the same, ${count("approved")} changed as approved, ${
      count("wrong")
    } wrong, ` +
    `of ${outcomes.length} exchanges` +
    (unused.length > 0 ? `; ${unused.length} approvals unused` : ""),
  ].join("\n");
}

/** The same in Markdown, with a table by operation. */
export function formatEvidence(report: Report, base: string, when: Date): string {
  const { outcomes, unused, due } = report;
  const operations = [...new Set(outcomes.map(({ operation }) => operation))];
  const rows = operations.map((operation) => {
    const of = outcomes.filter((one) => one.operation === operation);
    const count = (verdict: string) => of.filter((one) => one.verdict === verdict).length;
    const approved = of.filter(({ verdict }) => verdict === "approved");
    const byApproval = [...Map.groupBy(approved, ({ approval }) => approval)].toSorted();
    const changed = byApproval.map(([id, all]) => `${id}: ${all.length}`).join(", ") || "0";
    return [operation, of.length, count("same"), changed, count("wrong")].map(String);
  });
  return toMarkdown([
    heading(1, "Parity with the old server"),
    paragraph(`Server: ${base}, checked at ${when.toISOString()}.`),
    {
      kind: "table",
      head: ["operation", "exchanges", "same", "changed as approved", "wrong"],
      numbers: [1, 2, 4],
      rows,
    },
    { kind: "verbatim", text: formatReport({ outcomes, unused, due }) },
  ]);
}
