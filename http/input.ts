import type { z } from "zod";
import { isTooDeep, JSON_DEPTH_LIMIT } from "../contract/json_depth.ts";
import { ApiError, type ErrorDetail } from "../errors.ts";
import { type BodyLimits, readBody } from "./body.ts";
import type { RequestContext } from "./operation.ts";
import { queryOf } from "./paths.ts";

/**
 * The JSON body, parsed by `schema`. As in the old server, no body means `{}`.
 *
 * @throws {ApiError} 422 violates the schema or is nested too deep, 415 no JSON, and what {@link
 * readBody} throws
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
  // Later code may walk the document recursively.
  if (isTooDeep(c.env.document)) {
    throw new ApiError("outside_contract", `The body is nested deeper than ${JSON_DEPTH_LIMIT}`);
  }
  return accept(schema, c.env.document);
}

/** @throws {ApiError} 400 for a broken percent escape, 422 violates the schema */
export function readParameters<S extends z.ZodType>(c: RequestContext, schema: S): z.output<S> {
  const { parameters } = c.env.path;
  const decoded: Record<string, string> = {};
  for (const name in parameters) decoded[name] = decode(parameters[name] ?? "");
  return accept(schema, decoded);
}

/**
 * The query parameters of `schema`; other names are ignored.
 *
 * @throws {ApiError} 422 violates the schema, or a name comes twice
 */
export function readQuery<S extends z.ZodObject>(c: RequestContext, schema: S): z.output<S> {
  // `URL` would refuse some hosts that the request may have.
  const searchParams = new URLSearchParams(queryOf(c.req.url));
  const fields = fieldsOf(schema, searchParams);
  const doubled = Object.keys(fields).filter((name) => searchParams.getAll(name).length > 1);
  if (doubled.length > 0) {
    throw outsideContract(doubled.map((path) => ({ path, message: "is given more than once" })));
  }
  return accept(schema, fields);
}

/**
 * The headers of `schema`.
 *
 * @throws {ApiError} 422 violates the schema
 */
export function readHeaders<S extends z.ZodObject>(c: RequestContext, schema: S): z.output<S> {
  return accept(schema, fieldsOf(schema, c.req.raw.headers));
}

function fieldsOf(schema: z.ZodObject, source: Headers | URLSearchParams): object {
  const names = Object.keys(schema.shape).filter((name) => source.has(name));
  return Object.fromEntries(names.map((name) => [name, source.get(name)]));
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

/** A body of 100 kB can have ten thousand mistakes: half a megabyte of details. */
const MAX_DETAILS = 100;

function outsideContract(details: readonly ErrorDetail[]): ApiError {
  const [first] = details;
  const place = first === undefined || first.path === "" ? "The body" : first.path;
  const more = details.length > 1 ? ` (and ${details.length - 1} more)` : "";
  return new ApiError("outside_contract", `${place} ${first?.message ?? "is refused"}${more}`, {
    details: details.slice(0, MAX_DETAILS),
  });
}

/** The sentence for an issue whose schema has none. */
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

/** A client's text for an error's sentence, at most 60 characters of it. */
export function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
