/**
 * Reads compose.yaml by compose-go, the code by which Docker Compose reads it: anchors, variables,
 * the schema, and whether the services that others wait for exist.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { ensureGoProgram } from "../dev/go_program.ts";

const COMPOSE_FILE = fileURLToPath(new URL("../compose.yaml", import.meta.url));

const Healthcheck = z.object({
  test: z.array(z.string()).optional(),
  disable: z.boolean().optional(),
});

const Service = z.object({
  image: z.string(),
  build: z.object({}).optional(),
  command: z.array(z.string()).nullish(),
  environment: z.record(z.string(), z.string()).default({}),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  healthcheck: Healthcheck.optional(),
  logging: z.object({ driver: z.string() }).optional(),
  network_mode: z.string().optional(),
  ports: z.array(
    z.object({ host_ip: z.string().optional(), published: z.string(), target: z.number() }),
  ).default([]),
  profiles: z.array(z.string()).default([]),
  read_only: z.boolean().optional(),
  cap_drop: z.array(z.string()).optional(),
  cap_add: z.array(z.string()).optional(),
  privileged: z.boolean().optional(),
  security_opt: z.array(z.string()).optional(),
  user: z.string().optional(),
  secrets: z.array(z.object({ source: z.string() })).default([]),
  volumes: z.array(
    z.object({
      type: z.string(),
      source: z.string().default(""),
      read_only: z.boolean().optional(),
    }),
  ).default([]),
  networks: z.record(z.string(), z.unknown()).nullish(),
});

const Model = z.object({
  services: z.record(z.string(), Service),
  secrets: z.record(z.string(), z.object({ file: z.string() })).default({}),
});

/** One service of the file, its settings filled in. */
export type Service = z.output<typeof Service>;

/** The services of all profiles by name. */
export type Services = Record<string, Service>;

/**
 * The services of a compose file, with the settings of one environment filled in.
 *
 * @throws {NeedsGo} on a machine without Go
 * @throws {Error} with compose-go's message when the file is wrong, or a variable that it requires
 * is missing
 */
export async function readServices(
  settings: Record<string, string>,
  file = COMPOSE_FILE,
): Promise<Services> {
  return (await readComposeFile(settings, file)).services;
}

/** A compose file: its services, and the files of its secrets. @throws as {@link readServices} */
export async function readComposeFile(
  settings: Record<string, string>,
  file = COMPOSE_FILE,
): Promise<z.output<typeof Model>> {
  const program = await ensureGoProgram({
    name: "compose_model",
    module: new URL("./compose_model/", import.meta.url),
    package: ".",
  });
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [file],
    env: settings,
    clearEnv: true,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return Model.parse(JSON.parse(new TextDecoder().decode(stdout)));
}

/** These services and all that they depend on, each after what it depends on. */
export function inStartingOrder(services: Services, names: readonly string[]): string[] {
  const order = new Set<string>();
  for (const name of names) {
    for (const other of inStartingOrder(services, Object.keys(services[name]?.depends_on ?? {}))) {
      order.add(other);
    }
    order.add(name);
  }
  return [...order];
}
