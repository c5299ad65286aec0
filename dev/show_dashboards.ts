/**
 * Prints every panel of the dashboards with what Prometheus says now, where there is no Grafana. The one
 * argument is the address of Prometheus, which `deno task dev --observe` prints.
 *
 * @module
 */
import { queriesOf, queryNow, readDashboards } from "./dashboards.ts";

/** Of the results of one query. */
const MAX_SHOWN = 6;
/** Long enough for two readings, whatever the interval is. */
const RANGE = "1m";

const [prometheusUrl] = Deno.args;
if (prometheusUrl === undefined) {
  console.error("usage: deno run -A dev/show_dashboards.ts http://127.0.0.1:PORT");
  Deno.exit(2);
}
let shown: string | undefined;
for (const { dashboard, panel, query } of queriesOf(await readDashboards(), RANGE)) {
  if (dashboard !== shown) console.log(`\n${shown = dashboard}`);
  const results = await queryNow(prometheusUrl, query);
  console.log(`  ${panel}: ${results.length === 0 ? "no data" : ""}`);
  for (const { labels, value } of results.slice(0, MAX_SHOWN)) {
    const names = Object.entries(labels).map(([name, label]) => `${name}=${label}`).join(" ");
    console.log(`    ${Number(value).toPrecision(4)}  ${names}`);
  }
  if (results.length > MAX_SHOWN) console.log(`    and ${results.length - MAX_SHOWN} more`);
}
