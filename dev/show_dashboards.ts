/**
 * Prints every panel of the dashboards with what Prometheus says now, where there is no Grafana. The one
 * argument is the address of Prometheus, which `deno task dev --observe` prints.
 *
 * @module
 */
import { nameOf, queriesOf, queryNow, readDashboards } from "./dashboards.ts";

/** Of the results of one query. */
const MAX_SHOWN = 6;
/** Long enough for two readings, whatever the interval is. */
const RANGE = "1m";

const [prometheusUrl] = Deno.args;
if (prometheusUrl === undefined) {
  console.error("usage: deno run -A dev/show_dashboards.ts http://127.0.0.1:PORT");
  Deno.exit(2);
}
let [shownDashboard, shownPanel] = ["", ""];
for (const { dashboard, panel, query, legend } of queriesOf(await readDashboards(), RANGE)) {
  if (dashboard !== shownDashboard) console.log(`\n${dashboard}`);
  if (dashboard !== shownDashboard || panel !== shownPanel) console.log(`  ${panel}`);
  [shownDashboard, shownPanel] = [dashboard, panel];
  const results = await queryNow(prometheusUrl, query);
  if (results.length === 0) console.log(`    no data: ${query}`);
  for (const result of results.slice(0, MAX_SHOWN)) {
    console.log(`    ${Number(result.value).toPrecision(4)}  ${nameOf(result, legend)}`);
  }
  if (results.length > MAX_SHOWN) console.log(`    and ${results.length - MAX_SHOWN} more`);
}
