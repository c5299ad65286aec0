import { routeJson } from "../admin/route_json.ts";
import { setSample } from "../routes/routes_table.ts";
import { changeCommand, operationNamed, wholeNumber } from "./command.ts";

export const sample = changeCommand({
  usage: "OPERATION PERCENT",
  does: "sets how many of 100 requests of a route are compared, 0 to 100",
  words: [2, 2],
  async run({ sql, note }, typed) {
    const operation = operationNamed(typed.words[0]);
    const percent = typed.words[1]?.replace(/%$/, "");
    const samplePercent = wholeNumber("The share that is compared", percent, [0, 100]);
    const { route, changed } = await setSample(sql, { operation, samplePercent, ...note });
    return {
      text: `${samplePercent} % of ${operation} are compared${changed ? "" : " already"}`,
      json: { changed, route: routeJson(route) },
    };
  },
});
