import { LEGACY } from "./operations.gen.ts";
import {
  isLegacyOperation,
  isSafeOperation,
  type LegacyOperation,
  type Operation,
  OPERATIONS,
} from "./operations.ts";

interface Template {
  readonly operation: Operation;
  readonly method: string;
  /** What stands before and behind the parameter, in lower case. */
  readonly start: string;
  readonly end: string;
}

const FIXED = new Map<string, Map<string, Operation>>();
const WITH_PARAMETER: Template[] = [];

for (const { operation, method, path } of OPERATIONS) {
  const [start = "", end] = path.toLowerCase().split(/\{\w+\}/);
  if (end !== undefined) {
    WITH_PARAMETER.push({ operation, method, start, end });
    continue;
  }
  const methods = FIXED.get(start) ?? new Map<string, Operation>();
  FIXED.set(start, methods.set(method, operation));
}

/**
 * The operation that a request asks for, found the way both sides find theirs: letters in any case,
 * one trailing slash or none, a parameter is one segment that isn't empty, nothing is decoded. HEAD
 * asks for what GET asks for.
 *
 * @param target path and query as the client wrote them
 */
export function findOperation(method: string, target: string): Operation | undefined {
  const requested = method === "HEAD" ? "GET" : method;
  const lower = pathOf(target).toLowerCase();
  const path = lower.length > 1 && lower.endsWith("/") ? lower.slice(0, -1) : lower;
  const fixed = FIXED.get(path);
  if (fixed !== undefined) return fixed.get(requested);
  for (const { operation, method, start, end } of WITH_PARAMETER) {
    if (
      method === requested && path.length > start.length + end.length &&
      path.startsWith(start) && path.endsWith(end) &&
      !path.slice(start.length, path.length - end.length).includes("/")
    ) return operation;
  }
  return undefined;
}

/**
 * The old operation that a request was meant for, by its method and the fixed part of its path: also
 * one that asks for no lot, or for something below the path.
 *
 * @param method undefined: any
 */
export function findOldOperation(
  method: string | undefined,
  target: string,
): LegacyOperation | undefined {
  const requested = method === "HEAD" ? "GET" : method;
  const start = startOf(target.toLowerCase());
  return LEGACY.find((one) =>
    startOf(one.path) === start && (requested === undefined || one.method === requested)
  )?.operation;
}

/** The first two segments of a path. */
const startOf = (target: string) => target.split(/[/?]/, 3).join("/");

/** Whether a method has no effect by the rules of HTTP (RFC 9110, 9.2.1). */
export function isSafeMethod(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE";
}

/** Whether a server executes a request without any effect: by its method, or as the old login. */
export function isSafeRequest(method: string, operation: Operation | undefined): boolean {
  if (isSafeMethod(method)) return true;
  return operation !== undefined && isLegacyOperation(operation) && isSafeOperation(operation);
}

/**
 * A target as its host is asked for it: without the host that it may name, as requests to a proxy do.
 * Any other target is given back.
 */
export function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const host = /^https?:\/\/[^/?#]*/i.exec(target)?.[0];
  if (host === undefined) return target;
  const rest = target.slice(host.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/** The path alone. */
function pathOf(target: string): string {
  const origin = originForm(target);
  for (let at = 0; at < origin.length; at++) {
    const letter = origin[at];
    if (letter === "?" || letter === "#") return origin.slice(0, at);
  }
  return origin;
}
