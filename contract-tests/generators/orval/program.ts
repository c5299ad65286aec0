import axios from "axios";
import { env } from "node:process";
import {
  createLot,
  createQcDecision,
  type ErrorResponse,
  getTraceability,
  login,
} from "./generated/lotline.js";

const lotCode = env["LOT_CODE"] ?? "";
axios.defaults.baseURL = env["BASE_URL"];

/** The body of the error that a request must get. */
async function errorOf(request: Promise<unknown>): Promise<ErrorResponse> {
  const thrown: unknown = await request.catch((error: unknown) => error);
  if (axios.isAxiosError<ErrorResponse>(thrown) && thrown.response) return thrown.response.data;
  throw thrown;
}

const { data: session } = await login({
  email: "admin@flowviz.com",
  password: "correct horse battery staple",
});
console.log(`login: ${session.user.email} ${session.user.role}`);
axios.defaults.headers.common.Authorization = `Bearer ${session.token}`;

const { data: lot } = await createLot({
  lot_code: lotCode,
  lot_type: "RAW",
  weight_kg: "12.50",
  metadata: { supplier: "Duna", pallets: ["P-7", "P-8"] },
});
const { supplier, pallets } = lot.metadata as { supplier: string; pallets: string[] };
console.log(
  `lot: ${lot.lot_code} ${lot.lot_type} ${lot.weight_kg} kg, ${supplier}, pallets ${pallets.join(" ")}`,
);

const { data: decided } = await createQcDecision({ lot_id: lot.id, decision: "PASS" });
console.log(`decision: ${decided.decision}`);

const { data: { central, parents, children } } = await getTraceability(lotCode);
console.log(
  `trace: ${central.lot_code} ${central.weight_kg} kg, ` +
    `${parents.length} parents, ${children.length} children`,
);

const missing = await errorOf(getTraceability(`${lotCode}-UNKNOWN`));
console.log(`404: ${missing.error}`);

const refused = await errorOf(createLot({ lot_code: lotCode, metadata: "{" }));
for (const { path, message } of refused.details ?? []) console.log(`422: ${path} ${message}`);
