import type { Sql } from "../../db/sql.ts";
import { isLegacyOperation, isSafeOperation, type Operation } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { describeMode } from "../routes/routing.ts";
import { shareOf } from "./plan.ts";
import { readVerdicts, type RouteVerdict } from "./verdicts.ts";

/** What a mode no longer compares of an operation; undefined: nothing, or it is compared nowhere. */
export function uncompared(operation: Operation, mode: Mode): string | undefined {
  if (!isLegacyOperation(operation) || isSafeOperation(operation)) return undefined;
  switch (mode.name) {
    case "service":
      return `On service the writes of ${operation} are no longer compared: the old server would ` +
        "execute them.";
    case "canary":
      return `On ${
        describeMode(mode)
      } the writes of the clients that Lotline serves are no longer ` +
        "compared.";
    default:
      return undefined;
  }
}

/** Why a move is a risk: Lotline gets a greater share without the verdict `pass`. Undefined: it isn't. */
export function riskOf(now: RouteVerdict, mode: Mode): string | undefined {
  const { operation, route, judgement: { verdict, reasons } } = now;
  const isGreater = shareOf(mode) > Math.max(0, shareOf(route.mode));
  if (!isGreater || verdict === "pass") return undefined;
  const lost = uncompared(operation, mode) ??
    `On ${
      describeMode(mode)
    } its requests are still compared, and clients get Lotline's responses.`;
  return `${operation} is on ${describeMode(route.mode)} without the verdict pass: ${verdict} (${
    reasons.join("; ")
  }). ${lost}`;
}

/** The risks of setting a mode, a sentence for each operation that has one. */
export async function risksOf(
  sql: Sql,
  operations: readonly Operation[],
  mode: Mode,
): Promise<string[]> {
  if (shareOf(mode) <= 0 || !operations.some(isLegacyOperation)) return [];
  const { verdicts } = await readVerdicts(sql);
  return verdicts.filter(({ operation }) => operations.includes(operation))
    .flatMap((now) => riskOf(now, mode) ?? []);
}
