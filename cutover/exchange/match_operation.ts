import { isLegacyOperation, isSafeOperation, type Operation, OPERATIONS } from "./operations.ts";

const PATHS = OPERATIONS.map(({ operation, method, path }) => {
  // Before and after the parameter.
  const [start = "", end] = path.toLowerCase().split(/\{\w+\}/);
  return { operation, method, start, end };
});
const FIXED = Map.groupBy(PATHS.filter(({ end }) => end === undefined), ({ start }) => start);
const WITH_PARAMETER = PATHS.filter(({ end }) => end !== undefined);

/**
 * The operation of a request, matched as both upstreams match it: in any case, with or without one
 * trailing slash, a parameter is one segment that isn't empty, nothing is decoded, HEAD is GET.
 *
 * @param target path and query as the client wrote them
 */
export function findOperation(method: string, target: string): Operation | undefined {
  const requested = method === "HEAD" ? "GET" : method;
  const lower = pathOf(target).toLowerCase();
  const path = lower.length > 1 && lower.endsWith("/") ? lower.slice(0, -1) : lower;
  const fixed = FIXED.get(path);
  if (fixed !== undefined) return fixed.find(({ method }) => method === requested)?.operation;
  for (const { operation, method, start, end = "" } of WITH_PARAMETER) {
    if (
      method === requested && path.length > start.length + end.length &&
      path.startsWith(start) && path.endsWith(end) &&
      !path.slice(start.length, path.length - end.length).includes("/")
    ) return operation;
  }
  return undefined;
}

/** Whether a method is safe (RFC 9110, 9.2.1). */
export function isSafeMethod(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE";
}

/** Whether a request has no effect: its method is safe, or it is the old login. */
export function isSafeRequest(method: string, operation: Operation | undefined): boolean {
  if (isSafeMethod(method)) return true;
  return operation !== undefined && isLegacyOperation(operation) && isSafeOperation(operation);
}

/** A target without the host of the absolute form (RFC 9112, 3.2.2). */
export function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const host = /^https?:\/\/[^/?#]*/i.exec(target)?.[0];
  if (host === undefined) return target;
  const rest = target.slice(host.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function pathOf(target: string): string {
  const origin = originForm(target);
  const end = origin.search(/[?#]/);
  return end === -1 ? origin : origin.slice(0, end);
}
