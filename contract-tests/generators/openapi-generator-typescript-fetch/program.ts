import { env } from "node:process";
import {
  AuthApi,
  Configuration,
  type ErrorResponse,
  ErrorResponseFromJSON,
  LotsApi,
  QualityApi,
  ResponseError,
  TraceabilityApi,
} from "./generated";

/** The body of the error that a request must get. */
async function errorOf(request: Promise<unknown>): Promise<ErrorResponse> {
  const thrown: unknown = await request.catch((error: unknown) => error);
  if (thrown instanceof ResponseError) return ErrorResponseFromJSON(await thrown.response.json());
  throw thrown;
}

async function main(): Promise<void> {
  const lotCode = env["LOT_CODE"] ?? "";
  const basePath = env["BASE_URL"] ?? "";

  const { user, token } = await new AuthApi(new Configuration({ basePath })).login({
    credentials: { email: "admin@flowviz.com", password: "correct horse battery staple" },
  });
  console.log(`login: ${user.email} ${user.role}`);

  const configuration = new Configuration({ basePath, accessToken: token });
  const lots = new LotsApi(configuration);
  const traceability = new TraceabilityApi(configuration);

  const lot = await lots.createLot({
    lotInput: {
      lotCode,
      lotType: "RAW",
      weightKg: "12.50",
      metadata: { supplier: "Duna", pallets: ["P-7", "P-8"] },
    },
  });
  const { supplier, pallets } = lot.metadata as { supplier: string; pallets: string[] };
  console.log(
    `lot: ${lot.lotCode} ${lot.lotType} ${lot.weightKg} kg, ${supplier}, pallets ${pallets.join(" ")}`,
  );

  const decided = await new QualityApi(configuration).createQcDecision({
    qcDecisionInput: { lotId: lot.id, decision: "PASS" },
  });
  console.log(`decision: ${decided.decision}`);

  const { central, parents, children } = await traceability.getTraceability({ lotCode });
  console.log(
    `trace: ${central.lotCode} ${central.weightKg} kg, ` +
      `${parents.length} parents, ${children.length} children`,
  );

  const missing = await errorOf(
    traceability.getTraceability({ lotCode: `${lotCode}-UNKNOWN` }),
  );
  console.log(`404: ${missing.error}`);

  const refused = await errorOf(lots.createLot({ lotInput: { lotCode, metadata: "{" } }));
  for (const { path, message } of refused.details ?? []) console.log(`422: ${path} ${message}`);
}

void main();
