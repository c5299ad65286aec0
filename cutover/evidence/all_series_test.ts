import { deepStrictEqual } from "node:assert/strict";
import { freshDatabase } from "../../testing/database.ts";
import { metricsMistakes } from "../../testing/metrics_page.ts";
import { rawRequest, sendRaw } from "../../testing/raw_http.ts";
import { unusedAddress } from "../../testing/test_server.ts";
import { startGateway } from "../testing/gateway.ts";

Deno.test("every series of the gateway is listed in docs/metrics.md, has a name, a type and a sentence, and labels of fixed lists", async () => {
  await using database = await freshDatabase();
  await using gateway = await startGateway({
    databaseUrl: database.url,
    legacyUrl: unusedAddress(),
    serviceUrl: unusedAddress(),
    environment: { METRICS_PORT: "0" },
  });
  const port = Number(new URL(gateway.url).port);
  for (const line of ["GET /api/health", "PROPFIND /api/lots", "GET /%zz", 'GET /"}{x="y"}']) {
    await sendRaw(port, rawRequest(line));
  }
  const line = await gateway.log.find((line) => line.includes('"event":"metrics_listening"'));
  const response = await fetch(`http://127.0.0.1:${JSON.parse(line).port}/metrics`);
  deepStrictEqual(await metricsMistakes("gateway", await response.text()), []);
});
