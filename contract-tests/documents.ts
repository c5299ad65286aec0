import { generateKeyPair } from "jose";
import { parse } from "yaml";
import { createRoutes } from "../app.ts";
import { ALGORITHM } from "../auth/key_file.ts";
import { connect } from "../db/connect.ts";
import type { Json } from "./normal_form.ts";

/** The contract as it is published. */
export function readContract(): Json {
  return parse(Deno.readTextFileSync(new URL("../openapi.yaml", import.meta.url)));
}

/** The frozen capture of the old server's API. */
export function readOldCapture(): Json {
  return parse(Deno.readTextFileSync(new URL("../contract/legacy.yaml", import.meta.url)));
}

/** The document that the routes generate from their own schemas. */
export async function documentOfRoutes(): Promise<Json> {
  const { privateKey } = await generateKeyPair(ALGORITHM);
  const app = createRoutes({
    // Never connected: only the document is asked for.
    sql: connect({ url: "postgres://127.0.0.1/none" }),
    keys: { kid: "none", privateKey, published: { keys: [] } },
    limits: { bytes: 0, deadlineMs: 0, inFlight: 0 },
  });
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Lotline", version: "0" },
  });
  return JSON.parse(JSON.stringify(document));
}
