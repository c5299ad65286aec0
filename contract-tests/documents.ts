import { generateKeyPairSync } from "node:crypto";
import { parse } from "yaml";
import { z } from "zod";
import { createRoutes } from "../app.ts";
import { connect } from "../db/connect.ts";
import { createMetrics } from "../metrics.ts";
import { keysInMemory } from "../testing/keys.ts";
import type { Json } from "./normal_form.ts";

/** The contract as published. */
export function readContract(): Json {
  return parse(Deno.readTextFileSync(new URL("../openapi.yaml", import.meta.url)));
}

/** The frozen capture of the old server's API. */
export function readOldCapture(): Json {
  return parse(Deno.readTextFileSync(new URL("../contract/legacy.yaml", import.meta.url)));
}

/** The contract of the last release. */
export function readReleased(): Json {
  return parse(Deno.readTextFileSync(new URL("../contract/released.yaml", import.meta.url)));
}

/** The version named in a document. */
export function versionOf(document: Json): string {
  return z.object({ info: z.object({ version: z.string() }) }).parse(document).info.version;
}

/** The document that the routes generate from their own schemas. */
export function documentOfRoutes(): Json {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { router } = createRoutes({
    mode: "required",
    // Never connected: only the document is read.
    sql: connect({ url: "postgres://127.0.0.1/none" }),
    timeZone: {
      name: () => Promise.resolve("UTC"),
      rules: () => Promise.resolve({ zone: "UTC", dateStyle: "ISO, MDY" }),
    },
    database: {
      isBehind: false,
      schema: () => Promise.reject(new Error("there is no database here")),
      [Symbol.dispose]() {},
    },
    keys: keysInMemory({ kid: "none", privateKey, published: { keys: [] } }),
    signIn: () => Promise.reject(new Error("nobody signs in here")),
    revocations: {
      stateOf: () => "unknown",
      check: () => Promise.resolve("unknown"),
      checkQuickly: () => Promise.resolve("unknown"),
      refresh: async () => {},
      revoke: async () => {},
      [Symbol.dispose]: () => {},
    },
    largeTraces: { find: () => Promise.resolve(undefined), [Symbol.dispose]: () => {} },
    inlineTracer: {
      readsReplica: false,
      take: () => Promise.resolve(false),
      [Symbol.dispose]: () => {},
    },
    metrics: createMetrics(),
    limits: { bytes: 0, deadlineMs: 0 },
    log: () => {},
    stopping: new AbortController().signal,
  });
  const document = router.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Lotline", version: "0" },
  });
  return JSON.parse(JSON.stringify(document));
}
