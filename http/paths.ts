interface PathWithParameters<Operation> {
  readonly template: string;
  readonly methods: Map<string, Operation>;
  /** Captures each parameter as the client sent it. */
  readonly pattern: RegExp;
  readonly names: readonly string[];
}

type FixedPath<Operation> = FoundPath<Operation> & { readonly methods: Map<string, Operation> };

export interface FoundPath<Operation> {
  readonly template: string;
  /** By name, still percent-encoded. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly methods: ReadonlyMap<string, Operation>;
}

/**
 * The paths of the service, matched as the old server did (Express 4, neither strict nor
 * case-sensitive): any case, an optional trailing slash, a parameter is one non-empty segment, and
 * nothing is decoded before the match.
 */
export class PathTable<Operation> {
  /** By the template in lower case. */
  readonly #fixed = new Map<string, FixedPath<Operation>>();
  readonly #withParameters: PathWithParameters<Operation>[] = [];

  /**
   * Adds an operation; `template` has Hono's form (`:lotCode`). Returns the template of the path,
   * which may have come before in another case.
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

  /** @param pathname still percent-encoded */
  find(pathname: string): FoundPath<Operation> | undefined {
    const lower = pathname.toLowerCase();
    const fixed = this.#fixed.get(lower) ??
      (lower.length > 1 && lower.endsWith("/") ? this.#fixed.get(lower.slice(0, -1)) : undefined);
    if (fixed !== undefined) return fixed;
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

/** The path of a URL as the client sent it: not decoded, without the query. */
export function pathnameOf(url: string): string {
  const start = endOfHost(url);
  if (url[start] !== "/") return "/";
  const end = url.slice(start).search(/[?#]/);
  return end === -1 ? url.slice(start) : url.slice(start, start + end);
}

/** Path and query of a URL as the client sent them. */
export function targetOf(url: string): string {
  const target = url.slice(endOfHost(url));
  return target.startsWith("/") ? target : `/${target}`;
}

/** An absolute target may lack a path: a slash in the query does not begin one. */
function endOfHost(url: string): number {
  for (let at = url.indexOf("://") + 3; at < url.length; at++) {
    const character = url[at];
    if (character === "/" || character === "?" || character === "#") return at;
  }
  return url.length;
}

/** The query of a URL as the client sent it, from its question mark on. */
export function queryOf(url: string): string {
  const [address = ""] = url.split("#", 1);
  const start = address.indexOf("?");
  return start === -1 ? "" : address.slice(start);
}

/** The value of `Allow`: the methods of a path, HEAD and OPTIONS. */
export function allowHeader(methods: Iterable<string>): string {
  const allowed = new Set(methods);
  if (allowed.has("GET")) allowed.add("HEAD");
  allowed.add("OPTIONS");
  return [...allowed].sort().join(", ");
}
