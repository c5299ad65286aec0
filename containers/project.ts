/**
 * compose.yaml and the Dockerfile of this project, read.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import {
  fillIn,
  inStartingOrder,
  type Service,
  type Services,
  servicesOf,
} from "./compose_file.ts";
import { type ImageRecipe, readDockerfile } from "./dockerfile.ts";

export const PROJECT = fileURLToPath(new URL("..", import.meta.url));

/** The project's services, with the settings of one environment filled in. */
export interface Project {
  /** The text of compose.yaml. */
  readonly text: string;
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

export async function readProject(settings: Record<string, string>): Promise<Project> {
  const text = await Deno.readTextFile(join(PROJECT, "compose.yaml"));
  const image = readDockerfile(await Deno.readTextFile(join(PROJECT, "Dockerfile")));
  const services = servicesOf(fillIn(text, settings));
  const serviceNamed = (name: string): Service => {
    const service = services[name];
    if (!service) throw new Error(`compose.yaml has no service ${name}`);
    return service;
  };
  return {
    text,
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
