import { clearLatch } from "../routes/routes_table.ts";
import { type Command, operationNamed } from "./command.ts";
import { NOTE_OPTIONS, NOTE_USAGE, noteIn } from "./note_options.ts";

/** `deno task cutover clear` */
export const clear: Command = {
  usage: `OPERATION ${NOTE_USAGE}`,
  does: "lets a route that was rolled back by itself be moved again; it stays on legacy",
  words: [1, 1],
  options: NOTE_OPTIONS,
  async run({ sql }, typed) {
    const operation = operationNamed(typed.words[0]);
    const changed = await clearLatch(sql, { operation, ...noteIn(typed) });
    return {
      text: changed ? `${operation} can be moved again` : `${operation} is not held`,
      json: { changed },
    };
  },
};
