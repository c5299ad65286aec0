import { clearLatch } from "../routes/routes_table.ts";
import { changeCommand, operationNamed } from "./command.ts";

export const clear = changeCommand({
  usage: "OPERATION",
  does: "allows a route to move again after an automatic rollback; it stays on legacy",
  words: [1, 1],
  async run({ sql, note }, typed) {
    const operation = operationNamed(typed.words[0]);
    const changed = await clearLatch(sql, { operation, ...note });
    return {
      text: changed ? `${operation} can be moved again` : `${operation} is not held`,
      json: { changed },
    };
  },
});
