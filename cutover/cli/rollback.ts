import { returnToLegacy } from "../routes/routes_table.ts";
import { type Command, operationsNamed } from "./command.ts";
import { NOTE_OPTIONS, NOTE_USAGE, noteIn } from "./note_options.ts";

/** `deno task cutover rollback` */
export const rollback: Command = {
  usage: `OPERATION|all ${NOTE_USAGE}`,
  does: "back to legacy, whatever the mode is by now; all: what the old server has",
  words: [1, 1],
  options: NOTE_OPTIONS,
  async run({ sql }, typed) {
    const [name] = typed.words;
    const operations = operationsNamed(name);
    const moved = await returnToLegacy(sql, operations, noteIn(typed));
    return {
      text: moved.length === 0
        ? `${name === "all" ? "Every operation of the old server" : name} is on legacy already`
        : moved.map((operation) => `${operation} is on legacy`).join("\n"),
      json: { moved },
    };
  },
};
