import { deepStrictEqual, ok } from "node:assert/strict";
import { parse } from "yaml";
import { z } from "zod";
import { auditGenealogy } from "../jobs/audit_genealogy.ts";
import { startApi } from "../testing/api.ts";
import { DEFAULT_LIMITS } from "../testing/audited_plant.ts";
import { demoDatabase } from "../testing/demo_database.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { runJob } from "../testing/run_job.ts";
import type { Json } from "./normal_form.ts";
import { isShownBy, isTextShownBy } from "./shown.ts";

/*
 * Every example of openapi.yaml is sent to an API on the demo plant, and its response must be among
 * the examples.
 */

const Example = z.object({ value: z.json() });
const Media = z.object({
  example: z.json().optional(),
  examples: z.record(z.string(), z.union([Example, z.object({ $ref: z.string() })])).optional(),
});
const Content = z.record(z.string(), Media);
const Operation = z.object({
  operationId: z.string(),
  tags: z.tuple([z.string()]),
  requestBody: z.object({ content: Content }).optional(),
  responses: z.record(z.string(), z.object({ content: Content.optional() })),
});
const Contract = z.object({
  tags: z.array(z.object({ name: z.string() })),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.object({ examples: z.record(z.string(), Example) }),
});

interface Listed extends z.output<typeof Operation> {
  readonly method: string;
  readonly path: string;
}

const contract = Contract.parse(
  parse(await Deno.readTextFile(new URL("../openapi.yaml", import.meta.url))),
);
const operations = Object.entries(contract.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]): Listed => ({ method, path, ...operation }))
);

/** The examples of one media type by name; one without a name has the empty one. */
function examplesOf(media: z.output<typeof Media> | undefined): Map<string, Json> {
  const found = new Map<string, Json>();
  if (media?.example !== undefined) found.set("", media.example);
  for (const [name, example] of Object.entries(media?.examples ?? {})) {
    if ("value" in example) found.set(name, example.value);
    else {
      const target = contract.components.examples[example.$ref.split("/").at(-1) ?? ""];
      ok(target, `${example.$ref} leads nowhere`);
      found.set(name, target.value);
    }
  }
  return found;
}

const valkey = await ownValkey();
Deno.test.afterAll(async () => await valkey[Symbol.asyncDispose]());
// Before the day of the example that stores a lot: its code is free.
const database = await demoDatabase(new Date("2026-01-17T17:30:00Z"));
const { sql, url: databaseUrl } = database;
const api = await startApi({ databaseUrl, environment: { VALKEY_URL: valkey.server.url } });
Deno.test.afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const WITH_ID = z.object({ id: z.uuid() });
/** The path parameters, from responses to earlier examples. */
const made = new Map<string, string>([["/api/traceability/{lotCode}", "MIX-BATCH-88"]]);

/** Sends one example and finds its response among the examples of that status and media type. */
async function send(operation: Listed, accept: string, name: string, body: Json | undefined) {
  const { method, path, responses } = operation;
  const target = path.replace(/\{\w+\}/, () => encodeURIComponent(made.get(path) ?? ""));
  const response = await api.send(target, {
    method: method.toUpperCase(),
    headers: { accept, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const what = `${operation.operationId} ${name}: ${response.status} ${response.text}`;
  ok(response.status < 300 && String(response.status) in responses, what);
  if (method === "post" && response.status !== 204) {
    const { data } = WITH_ID.safeParse(response.json);
    if (data !== undefined) made.set(`${path}/{id}`, data.id);
  }
  const content = responses[response.status]?.content;
  if (content === undefined) return deepStrictEqual(response.text, "", what);
  const shown = examplesOf(content[response.headers.get("content-type")?.split(";")[0] ?? ""]);
  const examples = shown.has(name) ? [shown.get(name) ?? null] : [...shown.values()];
  ok(examples.length > 0, `${what} has no example`);
  for (const example of examples) {
    ok(
      response.json !== undefined
        ? isShownBy(example, response.json)
        : typeof example === "string" && isTextShownBy(example, response.text),
      `${JSON.stringify(example)} is not ${what}`,
    );
  }
}

async function sendAll(operation: Listed): Promise<void> {
  const content = operation.requestBody?.content;
  const bodies = examplesOf(content?.["application/json"]);
  ok((content === undefined) === (bodies.size === 0), `${operation.operationId} needs an example`);
  if (bodies.size === 0) {
    for (const type of Object.keys(operation.responses["200"]?.content ?? { "*/*": {} })) {
      await send(operation, type, type, undefined);
    }
  }
  for (const [name, body] of bodies) await send(operation, "*/*", name, body);
}

// The audit comes first, so that it is the demo plant's; then all that store something.
const [audits, posts, gets] = [
  operations.filter(({ operationId }) => operationId === "createAudit"),
  operations.filter(({ operationId, method }) =>
    method === "post" && operationId !== "createAudit"
  ),
  operations.filter(({ method }) => method === "get"),
];
ok(audits.length + posts.length + gets.length === operations.length && gets.length > 8);

for (const operation of [...audits, ...posts, ...gets]) {
  Deno.test(`the examples of ${operation.operationId} can be sent, and get the responses shown`, async () => {
    await sendAll(operation);
    const auditId = made.get("/api/audits/{id}");
    if (operation.operationId === "createAudit" && auditId !== undefined) {
      await runJob({ sql, url: databaseUrl }, auditGenealogy(DEFAULT_LIMITS), { auditId });
    }
  });
}

Deno.test("every success with a body has an example, whether it can be requested here or not", () => {
  for (const { operationId, responses } of operations) {
    for (const [status, { content = {} }] of Object.entries(responses)) {
      for (const [type, media] of Object.entries(content)) {
        const what = `${operationId} ${status} ${type} has no example`;
        if (status.startsWith("2")) ok(examplesOf(media).size > 0, what);
      }
    }
  }
});

Deno.test("the page is grouped by the field's nouns", () => {
  const groups = Map.groupBy(operations, ({ tags: [tag] }) => tag);
  deepStrictEqual([...groups.keys()].sort(), contract.tags.map(({ name }) => name).sort());
  const ids = (group: string) => groups.get(group)?.map(({ operationId }) => operationId);
  deepStrictEqual(contract.tags.map(({ name }) => [name, ids(name)]), [
    ["Lots", ["createLot"]],
    ["Traceability", ["getTraceability"]],
    ["Quality", ["createQcDecision"]],
    ["Traces", ["createDeepTrace", "getDeepTrace"]],
    ["Audits", ["createAudit", "listAudits", "getAudit"]],
    ["Auth", ["login", "logout", "getSigningKeys"]],
    ["Operations", ["getHealth", "getLiveness", "getReadiness", "getMetrics"]],
  ]);
});
