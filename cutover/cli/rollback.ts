import { returnToLegacy } from "../routes/routes_table.ts";
import { changeCommand, operationsNamed } from "./command.ts";

export const rollback = changeCommand({
  usage: "OPERATION|all",
  does: "puts a route back on legacy from any mode; all: every route of the old server",
  words: [1, 1],
  async run({ sql, note }, typed) {
    const [name] = typed.words;
    const operations = operationsNamed(name);
    const moved = await returnToLegacy(sql, operations, note);
    return {
      text: moved.length === 0
        ? `${name === "all" ? "Every operation of the old server" : name} is on legacy already`
        : moved.map((operation) => `${operation} is on legacy`).join("\n"),
      json: { moved },
    };
  },
});
