import openapiTS, { astToString } from "openapi-typescript";

const CONTRACT = new URL("../openapi.yaml", import.meta.url);
/** The client has its own, since its package stands alone. */
const PLACES = ["contract/types.gen.ts", "client/types.gen.ts"];

const at = (place: string) => new URL(`../${place}`, import.meta.url);

/** The text of every `types.gen.ts` as `openapi.yaml` makes it now. */
export async function generateTypes(): Promise<string> {
  const types = astToString(await openapiTS(CONTRACT));
  return "// Made from openapi.yaml by `deno task contract`; edit that file, not this one.\n" +
    types;
}

/** The texts of `types.gen.ts` as they are, by place. */
export async function currentTypes(): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const place of PLACES) texts[place] = await Deno.readTextFile(at(place));
  return texts;
}

if (import.meta.main) {
  const types = await generateTypes();
  for (const place of PLACES) await Deno.writeTextFile(at(place), types);
  console.log(`${PLACES.join(" and ")} are made from openapi.yaml`);
}
