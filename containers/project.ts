/**
 * compose.yaml and the Dockerfile of this project, read.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { NeedsGo } from "../dev/go_program.ts";
import { inStartingOrder, readServices, type Service, type Services } from "./compose_file.ts";
import { type ImageRecipe, readDockerfile } from "./dockerfile.ts";

export const PROJECT = fileURLToPath(new URL("..", import.meta.url));

/** The project's services, with the settings of one environment filled in. */
export interface Project {
  readonly services: Services;
  readonly image: ImageRecipe;
  /** @throws Error when there is no such service */
  serviceNamed(name: string): Service;
  /** What the container's processes see: the image's settings, then the service's own. */
  environmentOf(name: string): Record<string, string>;
  /** The command that tells whether a service is healthy. */
  healthcheckOf(name: string): string[];
  /** Whether others wait for its end. */
  isOneShot(name: string): boolean;
  /** These services and all that they depend on, each behind what it depends on. */
  startingOrderOf(names: readonly string[]): string[];
}

/**
 * The project, or nothing on a machine without Go, where its tests are ignored; the console tells
 * why.
 */
export async function projectForTests(
  settings: Record<string, string>,
): Promise<Project | undefined> {
  try {
    return await readProject(settings);
  } catch (thrown) {
    if (!(thrown instanceof NeedsGo)) throw thrown;
    console.log(`${thrown.message}\nThe tests of compose.yaml are ignored here; CI runs them.`);
    return undefined;
  }
}

async function readProject(settings: Record<string, string>): Promise<Project> {
  const image = readDockerfile(await Deno.readTextFile(join(PROJECT, "Dockerfile")));
  const services = await readServices(settings);
  const serviceNamed = (name: string): Service => {
    const service = services[name];
    if (!service) throw new Error(`compose.yaml has no service ${name}`);
    return service;
  };
  return {
    services,
    image,
    serviceNamed,
    environmentOf: (name) => ({ ...image.env, ...serviceNamed(name).environment }),
    healthcheckOf: (name) => serviceNamed(name).healthcheck?.test?.slice(1) ?? image.healthcheck,
    isOneShot: (name) =>
      Object.values(services).some(({ depends_on }) =>
        depends_on[name]?.condition === "service_completed_successfully"
      ),
    startingOrderOf: (names) => inStartingOrder(services, names),
  };
}
