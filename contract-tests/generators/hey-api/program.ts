import { env } from "node:process";
import { client } from "./generated/client.gen.js";
import { createLot, createQcDecision, getTraceability, login } from "./generated/sdk.gen.js";
import type { ErrorResponse } from "./generated/types.gen.js";

const lotCode = env["LOT_CODE"] ?? "";
client.setConfig({ baseUrl: env["BASE_URL"] ?? "" });

const { data: session } = await login({
  body: { email: "admin@flowviz.com", password: "correct horse battery staple" },
  throwOnError: true,
});
console.log(`login: ${session.user.email} ${session.user.role}`);
client.setConfig({ auth: session.token });

const { data: lot } = await createLot({
  body: {
    lot_code: lotCode,
    lot_type: "RAW",
    weight_kg: "12.50",
    metadata: { supplier: "Duna", pallets: ["P-7", "P-8"] },
  },
  throwOnError: true,
});
const { supplier, pallets } = lot.metadata as { supplier: string; pallets: string[] };
console.log(
  `lot: ${lot.lot_code} ${lot.lot_type} ${lot.weight_kg} kg, ${supplier}, pallets ${pallets.join(" ")}`,
);

const { data: decided } = await createQcDecision({
  body: { lot_id: lot.id, decision: "PASS" },
  throwOnError: true,
});
console.log(`decision: ${decided.decision}`);

const { data: trace } = await getTraceability({ path: { lotCode }, throwOnError: true });
const { central, parents, children } = trace;
console.log(
  `trace: ${central.lot_code} ${central.weight_kg} kg, ` +
    `${parents.length} parents, ${children.length} children`,
);

const missing: ErrorResponse | undefined =
  (await getTraceability({ path: { lotCode: `${lotCode}-UNKNOWN` } })).error;
console.log(`404: ${missing?.error}`);

const refused: ErrorResponse | undefined =
  (await createLot({ body: { lot_code: lotCode, metadata: "{" } })).error;
for (const { path, message } of refused?.details ?? []) console.log(`422: ${path} ${message}`);
