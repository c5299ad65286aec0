import openapiTS, { astToString, BOOLEAN, NULL, NUMBER, STRING, tsUnion } from "openapi-typescript";
import { withNamedSchemas } from "./named_schemas.ts";
import { remainingTypes } from "./remaining_types.ts";

const CONTRACT = new URL("../openapi.yaml", import.meta.url);
/** The only copy of the types, for service, gateway and client. */
export const TYPES = new URL("types.gen.ts", import.meta.url);

const NODES = { string: STRING, number: NUMBER, boolean: BOOLEAN, null: NULL };

export async function generateTypes(): Promise<string> {
  const nodes = await openapiTS(CONTRACT, { transform: (schema) => unionOf(schema) });
  const types = astToString(withNamedSchemas(nodes));
  return "// Made from openapi.yaml by `deno task contract`; edit that file, not this one.\n" +
    types;
}

/** The type of a value of several types; openapi-typescript doesn't read `not`. */
function unionOf(schema: object) {
  const types = remainingTypes({ ...schema });
  return types && tsUnion(types.map((type) => {
    if (type === "object" || type === "array") throw new Error(`${type} has no node here`);
    return NODES[type];
  }));
}

if (import.meta.main) {
  await Deno.writeTextFile(TYPES, await generateTypes());
  console.log("contract/types.gen.ts is made from openapi.yaml");
}
