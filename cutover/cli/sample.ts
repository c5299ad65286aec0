import { routeJson } from "../admin/route_json.ts";
import { setSample } from "../routes/routes_table.ts";
import { type Command, operationNamed, wholeNumber } from "./command.ts";
import { NOTE_OPTIONS, NOTE_USAGE, noteIn } from "./note_options.ts";

/** `deno task cutover sample` */
export const sample: Command = {
  usage: `OPERATION PERCENT ${NOTE_USAGE}`,
  does: "how many of 100 requests of a route are compared, 0 to 100",
  words: [2, 2],
  options: NOTE_OPTIONS,
  async run({ sql }, typed) {
    const operation = operationNamed(typed.words[0]);
    const percent = typed.words[1]?.replace(/%$/, "");
    const samplePercent = wholeNumber("The share that is compared", percent, [0, 100]);
    const note = noteIn(typed);
    const { route, changed } = await setSample(sql, { operation, samplePercent, ...note });
    return {
      text: `${samplePercent} % of ${operation} are compared${changed ? "" : " already"}`,
      json: { changed, route: routeJson(route) },
    };
  },
};
