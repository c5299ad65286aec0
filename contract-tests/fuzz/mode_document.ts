import type { AuthMode } from "../../auth/guard.ts";
import { readContract } from "../documents.ts";
import { asObject, type Json } from "../normal_form.ts";

/**
 * The contract as one `AUTH_MODE` promises it. The published document covers both, and says in prose
 * that `required` needs a token.
 */
export function documentOfMode(mode: AuthMode): Json {
  const document = readContract();
  if (mode === "required") needTokens(document);
  giveLinksBodies(document);
  return document;
}

function needTokens(document: Json): void {
  for (const item of Object.values(asObject(asObject(document).paths ?? {}))) {
    for (const operation of Object.values(asObject(item)).map(asObject)) {
      if (!Array.isArray(operation.security) || operation.security.length === 0) continue;
      operation.security = operation.security.filter((one) =>
        Object.keys(asObject(one)).length > 0
      );
    }
  }
}

// The published links have no `requestBody`, since openapi-generator refuses one that is an object.
function giveLinksBodies(document: Json): void {
  const { links } = asObject(asObject(document).components ?? {});
  for (const link of Object.values(asObject(links ?? {})).map(asObject)) {
    const body = link["x-request-body"];
    if (body !== undefined) link.requestBody = body;
  }
}

/** The patterns of a document's schemas, by the schema's name. */
export function patternsOf(document: Json): Record<string, string> {
  const { schemas } = asObject(asObject(document).components ?? {});
  return Object.fromEntries(
    Object.entries(asObject(schemas ?? {})).flatMap(([name, schema]) => {
      const { pattern } = asObject(schema);
      return typeof pattern === "string" ? [[name, pattern]] : [];
    }),
  );
}

/** Every operation of a document, as reports name it: `GET /api/health`. */
export function operationsOf(document: Json): string[] {
  return eachOperation(document).map(({ name }) => name);
}

/** Every link of a document, as reports name it. */
export function linksOf(document: Json): string[] {
  const operations = eachOperation(document);
  const { links: targets } = asObject(asObject(document).components ?? {});
  return operations.flatMap(({ name, operation }) =>
    Object.entries(asObject(operation.responses ?? {})).flatMap(([status, response]) =>
      Object.entries(asObject(asObject(response).links ?? {})).map(([link, value]) => {
        const { $ref } = asObject(value);
        const { operationId } = asObject(
          asObject(targets ?? {})[String($ref).split("/").at(-1) ?? ""] ?? {},
        );
        const target = operations.find(({ operation }) => operation.operationId === operationId);
        return `${name} -> [${status}] ${link} -> ${target?.name}`;
      })
    )
  );
}

function eachOperation(document: Json) {
  return Object.entries(asObject(asObject(document).paths ?? {})).flatMap(([path, item]) =>
    Object.entries(asObject(item)).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation: asObject(operation),
    }))
  );
}
