import { columns } from "../../terminal.ts";
import {
  listChanges,
  MAX_CHANGES,
  modeText,
  type RecordedChange,
} from "../routes/route_changes.ts";
import { type Command, operationNamed, wholeNumber } from "./command.ts";

export const history: Command = {
  usage: "[OPERATION] [--limit N] [--before ID]",
  does: `lists the changes of routes, the newest first; N is at most ${MAX_CHANGES}`,
  words: [0, 1],
  options: { limit: { type: "string" }, before: { type: "string" } },
  async run({ sql }, typed) {
    const { words: [name], options: { limit = "50", before } } = typed;
    const changes = await listChanges(sql, {
      operation: name === undefined ? undefined : operationNamed(name),
      before: before === undefined
        ? undefined
        : String(wholeNumber("--before", before, [1, 999_999_999])),
      limit: wholeNumber("--limit", limit, [1, MAX_CHANGES]),
    });
    return {
      text: changes.length === 0 ? "There are no such changes." : changeTable(changes),
      json: changes,
    };
  },
};

function changeTable(changes: readonly RecordedChange[]): string {
  return columns(
    ["id", "at", "what", "operation", "from", "to", "compared", "epoch", "who", "why"],
    changes.map((change) => [
      change.id,
      change.at,
      change.automatic ? `${change.what}, automatic` : change.what,
      change.operation ?? "all",
      modeText(change.from_mode, change.from_percent),
      modeText(change.to_mode, change.to_percent),
      change.from_sample === null ? "" : `${change.from_sample} to ${change.to_sample} %`,
      change.epoch === null ? "" : String(change.epoch),
      change.who,
      change.why,
    ]),
  );
}
