import openapiTS, { astToString } from "openapi-typescript";

const CONTRACT = new URL("../openapi.yaml", import.meta.url);
/** The one place of the types: service, gateway and client import them from here. */
const TYPES = new URL("types.gen.ts", import.meta.url);

/** The text of `types.gen.ts` as `openapi.yaml` makes it now. */
export async function generateTypes(): Promise<string> {
  const types = astToString(await openapiTS(CONTRACT));
  return "// Made from openapi.yaml by `deno task contract`; edit that file, not this one.\n" +
    types;
}

/** The text of `types.gen.ts` as it is. */
export async function currentTypes(): Promise<string> {
  return await Deno.readTextFile(TYPES);
}

if (import.meta.main) {
  await Deno.writeTextFile(TYPES, await generateTypes());
  console.log("contract/types.gen.ts is made from openapi.yaml");
}
