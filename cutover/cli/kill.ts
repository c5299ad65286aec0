import { kill as killRoutes } from "../routes/kill_switch.ts";
import type { Command } from "./command.ts";
import { NOTE_OPTIONS, NOTE_USAGE, noteIn } from "./note_options.ts";

/** `deno task cutover kill` */
export const kill: Command = {
  usage: NOTE_USAGE,
  does: "all routes on legacy at once, until the release",
  options: NOTE_OPTIONS,
  async run({ sql }, typed) {
    const changed = await killRoutes(sql, noteIn(typed));
    return {
      text: changed
        ? "The kill switch is on: within a second all routes are on legacy"
        : "The kill switch is on already",
      json: { changed },
    };
  },
};
