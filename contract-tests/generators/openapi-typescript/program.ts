import { env } from "node:process";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated.js";

type ErrorResponse = components["schemas"]["ErrorResponse"];

const lotCode = env["LOT_CODE"] ?? "";
const client = createClient<paths>({ baseUrl: env["BASE_URL"] ?? "" });

const login = await client.POST("/api/login", {
  body: { email: "admin@flowviz.com", password: "correct horse battery staple" },
});
if (!login.data) throw new Error(login.error.error);
const { user, token } = login.data;
console.log(`login: ${user.email} ${user.role}`);
client.use({
  onRequest: ({ request }) => request.headers.set("authorization", `Bearer ${token}`),
});

const stored = await client.POST("/api/lots", {
  body: {
    lot_code: lotCode,
    lot_type: "RAW",
    weight_kg: "12.50",
    metadata: { supplier: "Duna", pallets: ["P-7", "P-8"] },
  },
});
if (!stored.data) throw new Error(stored.error.error);
const lot = stored.data;
const { supplier, pallets } = lot.metadata as { supplier: string; pallets: string[] };
console.log(
  `lot: ${lot.lot_code} ${lot.lot_type} ${lot.weight_kg} kg, ${supplier}, pallets ${pallets.join(" ")}`,
);

const decided = await client.POST("/api/qc-decisions", {
  body: { lot_id: lot.id, decision: "PASS" },
});
if (!decided.data) throw new Error(decided.error.error);
console.log(`decision: ${decided.data.decision}`);

const trace = (lotCode: string) =>
  client.GET("/api/traceability/{lotCode}", { params: { path: { lotCode } } });
const traced = await trace(lotCode);
if (!traced.data) throw new Error(traced.error.error);
const { central, parents, children } = traced.data;
console.log(
  `trace: ${central.lot_code} ${central.weight_kg} kg, ` +
    `${parents.length} parents, ${children.length} children`,
);

const missing: ErrorResponse | undefined = (await trace(`${lotCode}-UNKNOWN`)).error;
console.log(`404: ${missing?.error}`);

const refused: ErrorResponse | undefined =
  (await client.POST("/api/lots", { body: { lot_code: lotCode, metadata: "{" } })).error;
for (const { path, message } of refused?.details ?? []) console.log(`422: ${path} ${message}`);
