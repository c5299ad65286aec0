import { parse } from "yaml";
import { z } from "zod";
import { readOldCapture } from "./documents.ts";

const Entry = z.strictObject({
  id: z.string().regex(/^[a-z]+(-[a-z]+)*$/),
  reason: z.string().min(1),
  approved: z.iso.date(),
  review: z.iso.date(),
  contract: z.array(z.strictObject({ operation: z.string(), text: z.string().min(1) })).min(1),
}).refine(({ approved, review }) => review > approved, "the review must come after the approval");

const OLD_OPERATIONS: readonly string[] =
  JSON.stringify(readOldCapture()).match(/(?<="operationId":")\w+/g) ?? [];

const Approved = z.array(Entry).superRefine((entries, context) => {
  const seen = new Set<string>();
  const once = (what: string) => {
    if (seen.has(what)) context.addIssue({ code: "custom", message: `${what} stands twice` });
    seen.add(what);
  };
  for (const { id, contract } of entries) {
    once(`entry ${id}`);
    for (const { operation, text } of contract) {
      once(`${operation}, ${text}`);
      if (!OLD_OPERATIONS.includes(operation)) {
        context.addIssue({ code: "custom", message: `${operation} is no "operation" of the old` });
      }
    }
  }
});

/**
 * How openapi.yaml is deliberately stricter than the old server's document: id, reason, days,
 * changes.
 */
export type Approved = z.output<typeof Approved>;

/**
 * Reads approved changes of the document.
 * @throws {z.ZodError} when the text has another shape, or a duplicate
 */
export function parseApproved(text: string): Approved {
  return Approved.parse(parse(text));
}

/** Reads this project's; throws as {@link parseApproved} does. */
export function readApproved(): Approved {
  return parseApproved(Deno.readTextFileSync(new URL("./approved.yaml", import.meta.url)));
}
