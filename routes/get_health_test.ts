import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { apiWithoutDatabase } from "../testing/api_without_database.ts";
import { Health } from "./get_health.ts";

const api = await apiWithoutDatabase();

Deno.test("health is ok with the current time, without a database too", async () => {
  const before = Date.now();
  const response = await api.get("/api/health");
  const after = Date.now();
  strictEqual(response.status, 200);
  const { status, timestamp } = Health.parse(response.json);
  strictEqual(response.text, JSON.stringify({ status, timestamp }));
  match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const moment = Date.parse(timestamp);
  ok(before <= moment && moment <= after, `${before} <= ${moment} <= ${after}`);
});

Deno.test("health is JSON for every client, in any spelling of the path", async () => {
  for (const path of ["/api/health", "/API/Health/", "/api/health?deep=true"]) {
    const { status, headers } = await api.get(path, { origin: "https://plant.example" });
    deepStrictEqual(
      [status, headers.get("content-type"), headers.get("access-control-allow-origin")],
      [200, "application/json; charset=utf-8", "*"],
    );
  }
});

Deno.test("HEAD has the headers of GET and no body", async () => {
  const response = await api.send("/api/health", { method: "HEAD" });
  strictEqual(response.status, 200);
  strictEqual(response.text, "");
  const { text } = await api.get("/api/health");
  strictEqual(response.headers.get("content-length"), String(text.length));
});
