import { kill as killRoutes } from "../routes/kill_switch.ts";
import { changeCommand } from "./command.ts";

export const kill = changeCommand({
  usage: "",
  does: "puts all routes on legacy at once, until release",
  async run({ sql, note }) {
    const changed = await killRoutes(sql, note);
    return {
      text: changed
        ? "The kill switch is on: within a second all routes are on legacy"
        : "The kill switch is on already",
      json: { changed },
    };
  },
});
