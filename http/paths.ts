/** A path with parameters, such as `/api/traceability/:lotCode`, and what it answers. */
interface PathWithParameters<Operation> {
  readonly template: string;
  /** The operation that each method asks for. */
  readonly methods: Map<string, Operation>;
  /** Captures each parameter as the client wrote it. */
  readonly pattern: RegExp;
  readonly names: readonly string[];
}

/** A path without parameters is found as the same each time. */
type FixedPath<Operation> = FoundPath<Operation> & { readonly methods: Map<string, Operation> };

/** A request's path, found among the paths of the service. */
export interface FoundPath<Operation> {
  readonly template: string;
  /** Each parameter by name, still percent-encoded. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The operation that each method asks for. */
  readonly methods: ReadonlyMap<string, Operation>;
}

/**
 * The paths of the service, found the way the old server (Express 4, neither strict nor
 * case-sensitive) found its own: letters in any case, one trailing slash or none, a parameter is
 * one segment that isn't empty, and nothing is decoded before the path is found.
 */
export class PathTable<Operation> {
  /** By the template in small letters. */
  readonly #fixed = new Map<string, FixedPath<Operation>>();
  readonly #withParameters: PathWithParameters<Operation>[] = [];

  /**
   * Learns one operation; `template` writes its parameters as Hono does (`:lotCode`). Gives the
   * template by which the path is known: one in other letters may have come before.
   */
  add(method: string, template: string, operation: Operation): string {
    const known = this.#fixed.get(template.toLowerCase()) ??
      this.#withParameters.find((path) => path.template === template);
    if (known !== undefined) {
      known.methods.set(method, operation);
      return known.template;
    }
    const methods = new Map([[method, operation]]);
    if (template.includes(":")) {
      this.#withParameters.push({
        template,
        methods,
        pattern: new RegExp(`^${template.replaceAll(/:\w+/g, "([^/]+)")}/?$`, "i"),
        names: template.match(/(?<=:)\w+/g) ?? [],
      });
    } else {
      this.#fixed.set(template.toLowerCase(), { template, parameters: {}, methods });
    }
    return template;
  }

  /** The path of the service that `pathname` (as the client wrote it, still encoded) means. */
  find(pathname: string): FoundPath<Operation> | undefined {
    return this.#findFixed(pathname.toLowerCase()) ?? this.#findWithParameters(pathname);
  }

  #findFixed(lower: string): FixedPath<Operation> | undefined {
    return this.#fixed.get(lower) ??
      (lower.length > 1 && lower.endsWith("/") ? this.#fixed.get(lower.slice(0, -1)) : undefined);
  }

  #findWithParameters(pathname: string): FoundPath<Operation> | undefined {
    for (const { template, methods, pattern, names } of this.#withParameters) {
      const match = pattern.exec(pathname);
      if (!match) continue;
      const parameters: Record<string, string> = {};
      names.forEach((name, index) => parameters[name] = match[index + 1] ?? "");
      return { template, parameters, methods };
    }
    return undefined;
  }
}

/** The path of a request's address as the client wrote it: nothing decoded, no query. */
export function pathnameOf(url: string): string {
  const start = endOfHost(url);
  if (url[start] !== "/") return "/";
  const end = url.slice(start).search(/[?#]/);
  return end === -1 ? url.slice(start) : url.slice(start, start + end);
}

/** Path and query of a request's address as the client wrote them. */
export function targetOf(url: string): string {
  const target = url.slice(endOfHost(url));
  return target.startsWith("/") ? target : `/${target}`;
}

/** A client that names a host in its target may name no path: a slash in a query begins none. */
function endOfHost(url: string): number {
  for (let at = url.indexOf("://") + 3; at < url.length; at++) {
    const letter = url[at];
    if (letter === "/" || letter === "?" || letter === "#") return at;
  }
  return url.length;
}

/** The query of a request's address as the client wrote it, from its question mark on. */
export function queryOf(url: string): string {
  const [address = ""] = url.split("#", 1);
  const start = address.indexOf("?");
  return start === -1 ? "" : address.slice(start);
}

/** The value of `Allow` for a path: what it answers, with what HTTP adds to it. */
export function allowHeader(methods: Iterable<string>): string {
  const allowed = new Set(methods);
  if (allowed.has("GET")) allowed.add("HEAD");
  allowed.add("OPTIONS");
  return [...allowed].sort().join(", ");
}
