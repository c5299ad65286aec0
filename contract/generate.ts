import openapiTS, { astToString } from "openapi-typescript";
import { withNamedSchemas } from "./named_schemas.ts";

const CONTRACT = new URL("../openapi.yaml", import.meta.url);
/** The only copy of the types, for service, gateway and client. */
export const TYPES = new URL("types.gen.ts", import.meta.url);

export async function generateTypes(): Promise<string> {
  const types = astToString(withNamedSchemas(await openapiTS(CONTRACT)));
  return "// Made from openapi.yaml by `deno task contract`; edit that file, not this one.\n" +
    types;
}

if (import.meta.main) {
  await Deno.writeTextFile(TYPES, await generateTypes());
  console.log("contract/types.gen.ts is made from openapi.yaml");
}
