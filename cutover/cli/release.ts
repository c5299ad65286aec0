import { release as releaseRoutes } from "../routes/kill_switch.ts";
import type { Command } from "./command.ts";
import { NOTE_OPTIONS, NOTE_USAGE, noteIn } from "./note_options.ts";

/** `deno task cutover release` */
export const release: Command = {
  usage: NOTE_USAGE,
  does: "ends a kill: each route has the mode again that status shows",
  options: NOTE_OPTIONS,
  async run({ sql }, typed) {
    const changed = await releaseRoutes(sql, noteIn(typed));
    return {
      text: changed
        ? "The kill switch is off: within a second each route has its mode again"
        : "The kill switch is off already",
      json: { changed },
    };
  },
};
