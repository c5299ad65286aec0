import { release as releaseRoutes } from "../routes/kill_switch.ts";
import { changeCommand } from "./command.ts";

export const release = changeCommand({
  usage: "",
  does: "ends a kill: each route returns to the mode that status shows",
  async run({ sql, note }) {
    const changed = await releaseRoutes(sql, note);
    return {
      text: changed
        ? "The kill switch is off: within a second each route returns to its mode"
        : "The kill switch is off already",
      json: { changed },
    };
  },
});
