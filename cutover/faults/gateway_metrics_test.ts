import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { freePort } from "../../dev/free_port.ts";
import { eventually } from "../../testing/eventually.ts";
import { startCutover } from "../testing/cutover.ts";
import { GATEWAY_ADMIN_TOKEN } from "../testing/gateway.ts";

const ROUTE = "getTraceability";
/** Series of METRICS_PORT alone. */
const NEW = [
  "request_duration_seconds",
  "requests_in_flight",
  "connections",
  "upstream_connections",
  "upstream_waiting",
  "comparing",
  "comparing_bytes",
  "evidence_lag_seconds",
  "routes_source",
  "kill_switch",
  "route_latched",
  "lost_total",
  "verdict",
  "real_service_percent",
  "real_service_requests_percent",
].map((name) => `lotline_gateway_${name}`);

async function read(url: string, headers: HeadersInit = {}): Promise<string> {
  const response = await fetch(url, { headers });
  strictEqual(response.status, 200);
  return await response.text();
}

/** The names of the metrics in a text. */
const namesIn = (text: string) =>
  [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? "").toSorted();

/** The values of a text by their names and labels. */
function valuesIn(text: string): ReadonlyMap<string, number> {
  const lines = text.matchAll(/^([a-z_]+(?:\{.*\})?) (\S+)$/gm);
  return new Map(Array.from(lines, ([, name = "", value]) => [name, Number(value)] as const));
}

Deno.test("the gateway's metrics show a canary, its verdict, and each request as its client saw it", async () => {
  const port = freePort();
  await using cutover = await startCutover({
    gatewayEnvironment: { METRICS_PORT: String(port) },
  });
  const [gateway] = cutover.gateways;
  ok(gateway);
  const metrics = () => read(`http://127.0.0.1:${port}/metrics`);
  await cutover.set({ name: "canary", percent: 50 }, [ROUTE]);
  for (let client = 0; client < 40; client++) {
    const url = `${gateway.url}/api/traceability/MIX-BATCH-88`;
    await (await fetch(url, { headers: { "x-forwarded-for": `10.1.2.${client}` } })).text();
  }
  for (const path of ["/api/nothing", "/api/traceability/NO-SUCH-LOT"]) {
    await (await fetch(gateway.url + path)).text();
  }
  await eventually("PostgreSQL has all of it", async () => {
    const [row] = await cutover.database.sql<{ requests: number }[]>`
      select coalesce(sum(requests), 0)::int as requests from lotline.route_clients`;
    return row?.requests === 41;
  });
  const text = await metrics();
  const values = valuesIn(text);
  const of = (name: string) => values.get(`lotline_gateway_${name}`);
  strictEqual(of(`request_duration_seconds_count{operation="${ROUTE}",status="200"}`), 40);
  strictEqual(of(`request_duration_seconds_count{operation="${ROUTE}",status="404"}`), 1);
  strictEqual(of('request_duration_seconds_count{operation="unknown",status="404"}'), 1);
  strictEqual(of("requests_in_flight"), 0);
  ok((of("connections") ?? 0) > 0);
  strictEqual(of('upstream_waiting{side="service"}'), 0);
  strictEqual(of('routes_source{source="database"}'), 1);
  strictEqual(of('routes_source{source="away"}'), 0);
  strictEqual(of("kill_switch"), 0);
  strictEqual(of(`route_latched{operation="${ROUTE}"}`), 0);
  strictEqual(of(`route_service_percent{operation="${ROUTE}"}`), 50);
  const moved = of(`client_requests_total{operation="${ROUTE}",side="service"}`) ?? 0;
  const percent = of(`real_service_requests_percent{operation="${ROUTE}"}`) ?? 0;
  ok(moved > 0 && Math.abs(percent - moved / 41 * 100) < 0.001, `${percent} of ${moved}`);
  strictEqual(of(`verdict{operation="${ROUTE}",verdict="inconclusive"}`), 1);
  deepStrictEqual(
    NEW.filter((name) => !namesIn(text).includes(name)),
    [],
    "each of them is there",
  );

  const authorization = `Bearer ${GATEWAY_ADMIN_TOKEN}`;
  const ofAdmin = await read(`${gateway.adminUrl}/metrics`, { authorization });
  const old = namesIn(ofAdmin);
  deepStrictEqual(NEW.filter((name) => old.includes(name)), [], "the admin port's are as before");
  deepStrictEqual(old.filter((name) => !namesIn(text).includes(name)), []);
  strictEqual(new Set(namesIn(text)).size, namesIn(text).length, "no metric is there twice");

  // Rolled back by hand, as a gateway does by itself.
  await cutover.database.sql`
    update lotline.routes set mode = 'legacy', canary_percent = null, latch = 'a test',
      epoch = epoch + 1 where operation = ${ROUTE}`;
  await eventually("the latch shows", async () => {
    const now = valuesIn(await metrics());
    return now.get(`lotline_gateway_route_latched{operation="${ROUTE}"}`) === 1;
  });
  match(await metrics(), /^lotline_metrics_readable\{source="gateway_verdicts"\} 1$/m);
});
