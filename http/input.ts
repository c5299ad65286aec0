import type { z } from "zod";
import { isTooDeep, JSON_DEPTH_LIMIT } from "../contract/json_depth.ts";
import { ApiError, type ErrorDetail } from "../errors.ts";
import { type BodyLimits, readBody } from "./body.ts";
import type { RequestContext } from "./operation.ts";
import { queryOf } from "./paths.ts";

/**
 * A request's JSON body as `schema` makes it. No body counts as `{}`, as it did.
 * @throws {ApiError} 422 with the places that are outside the schema or nested too deep, 415 for a
 * body that isn't JSON, and what {@link readBody} throws
 */
export async function readJson<S extends z.ZodType>(
  c: RequestContext,
  schema: S,
  limits: BodyLimits,
): Promise<z.output<S>> {
  const body = await readBody(c.req.raw, limits);
  if (body.kind === "other") {
    throw new ApiError("unsupported_media_type", "The body must be sent as application/json");
  }
  c.env.document = body.kind === "json" ? body.value : {};
  // What walks through it may recurse.
  if (isTooDeep(c.env.document)) {
    throw new ApiError("outside_contract", `The body is nested deeper than ${JSON_DEPTH_LIMIT}`);
  }
  return accept(schema, c.env.document);
}

/**
 * A request's path parameters as `schema` makes them.
 * @throws {ApiError} 400 for a broken percent escape, 422 outside the schema
 */
export function readParameters<S extends z.ZodType>(c: RequestContext, schema: S): z.output<S> {
  const { parameters } = c.env.path;
  const decoded: Record<string, string> = {};
  for (const name in parameters) decoded[name] = decode(parameters[name] ?? "");
  return accept(schema, decoded);
}

/**
 * A request's query parameters as `schema` makes them; names that it doesn't know are ignored.
 * @throws {ApiError} 422 outside the schema, or for a name that is given twice
 */
export function readQuery<S extends z.ZodObject>(c: RequestContext, schema: S): z.output<S> {
  // Not by `URL`: the host beside it may be none that it knows.
  const searchParams = new URLSearchParams(queryOf(c.req.url));
  const given = Object.keys(schema.shape).filter((name) => searchParams.has(name));
  const doubled = given.filter((name) => searchParams.getAll(name).length > 1);
  if (doubled.length > 0) {
    throw outsideContract(doubled.map((path) => ({ path, message: "is given more than once" })));
  }
  return accept(schema, Object.fromEntries(given.map((name) => [name, searchParams.get(name)])));
}

/**
 * A request's headers as `schema`, which names them, makes them.
 * @throws {ApiError} 422 outside the schema
 */
export function readHeaders<S extends z.ZodObject>(c: RequestContext, schema: S): z.output<S> {
  const { headers } = c.req.raw;
  const names = Object.keys(schema.shape).filter((name) => headers.has(name));
  return accept(schema, Object.fromEntries(names.map((name) => [name, headers.get(name)])));
}

function decode(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    throw new ApiError("invalid_request", "The path holds a broken percent escape");
  }
}

function accept<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value, { error: describeMismatch });
  if (result.success) return result.data;
  throw outsideContract(result.error.issues.flatMap(describeIssue));
}

/** So many places are named: a body of 100 kB can be wrong in ten thousand, half a megabyte of them. */
const MAX_DETAILS = 100;

function outsideContract(details: readonly ErrorDetail[]): ApiError {
  const [first] = details;
  const place = first === undefined || first.path === "" ? "The body" : first.path;
  const more = details.length > 1 ? ` (and ${details.length - 1} more)` : "";
  return new ApiError("outside_contract", `${place} ${first?.message ?? "is refused"}${more}`, {
    details: details.slice(0, MAX_DETAILS),
  });
}

/** The sentence for a place whose schema has none of its own. */
function describeMismatch(issue: z.core.$ZodRawIssue): string {
  if (issue.input === undefined) return "is missing";
  if (issue.code === "invalid_value") return `must be one of ${issue.values.join(", ")}`;
  if (issue.code === "invalid_type") return `must be of type ${issue.expected}`;
  return "is outside the contract";
}

function describeIssue(issue: z.core.$ZodIssue): ErrorDetail[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: shorten(key),
      message: "is not a field of this request",
    }));
  }
  return [{ path: issue.path.map(String).map(shorten).join("."), message: issue.message }];
}

// A key is the client's own text: enough of it to recognise, never a page of it.
function shorten(key: string): string {
  return key.length > 60 ? `${key.slice(0, 60)}…` : key;
}
