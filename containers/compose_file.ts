/**
 * Reads compose.yaml as Docker Compose would, for the forms that this project's file uses.
 *
 * @module
 */
import { parse } from "yaml";
import { z } from "zod";

const Healthcheck = z.object({
  test: z.array(z.string()).optional(),
  disable: z.boolean().optional(),
});

const Service = z.object({
  image: z.string(),
  build: z.object({ context: z.string(), args: z.record(z.string(), z.string()) }).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.record(
    z.string(),
    z.object({
      condition: z.enum(["service_healthy", "service_completed_successfully"]),
      required: z.boolean().optional(),
    }),
  ).default({}),
  healthcheck: Healthcheck.optional(),
  network_mode: z.string().optional(),
  ports: z.array(z.string()).default([]),
  profiles: z.array(z.string()).default([]),
  read_only: z.boolean().optional(),
  cap_drop: z.array(z.string()).optional(),
  cap_add: z.array(z.string()).optional(),
  privileged: z.boolean().optional(),
  security_opt: z.array(z.string()).optional(),
});

const ComposeFile = z.object({ services: z.record(z.string(), Service) });

/** One service of the file, its settings filled in. */
export type Service = z.output<typeof Service>;

/** The services by name, in the file's order. */
export type Services = Record<string, Service>;

/**
 * The file's content as plain data, as the compose schema describes it: anchors and merges are
 * resolved, and variables filled in.
 * @throws Error naming the variable when one without a default is missing
 */
export function fillIn(text: string, environment: Record<string, string>): unknown {
  return eachText(
    parse(text, { merge: true }),
    (value) => interpolate(value, environment),
  );
}

/**
 * The services of {@linkcode fillIn}'s content. Throws a ZodError on a form this reader doesn't
 * know.
 */
export function servicesOf(content: unknown): Services {
  return ComposeFile.parse(content).services;
}

/** These services and all that they depend on, each after what it depends on. Throws on a cycle. */
export function inStartingOrder(services: Services, names: readonly string[]): string[] {
  const order: string[] = [];
  const visit = (name: string, dependents: string[]) => {
    if (order.includes(name)) return;
    if (dependents.includes(name)) throw new Error(`Services wait for each other: ${dependents}`);
    for (const other of Object.keys(services[name]?.depends_on ?? {})) {
      visit(other, [...dependents, name]);
    }
    order.push(name);
  };
  for (const name of names) visit(name, []);
  return order;
}

/** Compose's `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$`. */
function interpolate(text: string, environment: Record<string, string>): string {
  return text.replace(
    /\$(?:\$|\{(\w+)(?::([-?])([^}]*))?\}|)/g,
    (found, name: string | undefined, kind: string | undefined, rest: string | undefined) => {
      if (found === "$$") return "$";
      if (name === undefined) throw new Error(`A lone $ in ${text}: compose needs $$`);
      const value = environment[name];
      if (value) return value;
      if (kind === "-") return rest ?? "";
      throw new Error(kind === "?" ? `${name}: ${rest}` : `${name} has no value`);
    },
  );
}

function eachText(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item) => eachText(item, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, eachText(item, change)]),
  );
}
