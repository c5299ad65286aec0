import { basename, join } from "node:path";
import type { z } from "zod";
import { type Environment, parseSettings } from "../../config.ts";
import type { ImageRecipe } from "../../containers/dockerfile.ts";
import { allowedEnvironment } from "../settings.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import {
  type Container,
  type Resource,
  selectingOf,
  selects,
  type Workload,
  workloadsOf,
} from "./manifests.ts";

/** What the pods of one component run, and what that needs of them. */
export interface Component {
  readonly tasks: readonly Parameters<typeof allowedEnvironment>[0][];
  /** The settings of its one program; without it only names are checked. */
  readonly schema?: z.ZodObject;
  /** The settings that are ports, by the names of the ports. */
  readonly ports?: Readonly<Record<string, string>>;
  /** The settings that are addresses to listen on. */
  readonly hosts?: readonly string[];
  /** How long the program may take to end after SIGTERM, beside its DRAIN_SECONDS. */
  readonly endSeconds?: number;
}

export interface Expected {
  readonly image: ImageRecipe;
  readonly version: string;
  /** By the label `app.kubernetes.io/component`. */
  readonly components: Readonly<Record<string, Component>>;
}

/** A value of each secret, by its file's name. */
const SECRETS: Readonly<Record<string, string>> = {
  "database-url": "postgres://lotline:secret@db.plant.example:5432/plant",
  "valkey-url": "redis://:secret@valkey.plant.example:6379",
  "metrics-token": "0123456789abcdef",
  "dry-run-secret": "0123456789abcdef0123456789abcdef",
  "gateway-admin-token": "0123456789abcdef",
  "jwt-keys.json": "{}",
};

/** Settings of the runtime, which is started before Lotline. */
const RUNTIME = ["DENO_V8_FLAGS"];

/** A sentence about each mistake that the schemas can't know of. */
export async function mistakesIn(
  resources: readonly Resource[],
  expected: Expected,
): Promise<readonly string[]> {
  const workloads = workloadsOf(resources);
  const found = [
    ...workloads.flatMap((workload) => podMistakes(workload)),
    ...selectorMistakes(resources, workloads),
    ...namespaceMistakes(resources),
  ];
  for (const workload of workloads) {
    for (const container of containersOf(workload)) {
      found.push(...containerMistakes(workload, container, expected));
      found.push(...await settingMistakes(workload, container, resources, expected));
    }
  }
  return found;
}

const containersOf = ({ spec }: Workload) => [...spec.initContainers, ...spec.containers];

function podMistakes({ kind, name, spec, labels, selector }: Workload): string[] {
  const { securityContext: security } = spec;
  const isForService = kind === "Deployment";
  return sentences(name, [
    [security?.runAsNonRoot === true && (security.runAsUser ?? 0) > 0, "may run as root"],
    [(security?.runAsGroup ?? 0) > 0, "runs in root's group"],
    [security?.seccompProfile?.type === "RuntimeDefault", "may make any system call"],
    [spec.automountServiceAccountToken === false, "gets a token for Kubernetes' API"],
    [spec.enableServiceLinks === false, "gets variables of Services"],
    [!isForService || spec.topologySpreadConstraints.length > 0, "may be on one node alone"],
    [
      selector === undefined || selects(selector, labels),
      "has a selector that leaves its pods out",
    ],
    [
      spec.topologySpreadConstraints.every(({ labelSelector }) => selects(labelSelector, labels)),
      "spreads pods that aren't its own",
    ],
    [
      spec.volumes.every(({ emptyDir }) => emptyDir === undefined || emptyDir.sizeLimit),
      "has a folder without a bound",
    ],
    [
      spec.volumes.every(({ secret }) =>
        secret === undefined ||
        (secret.defaultMode === 0o440 && spec.securityContext?.fsGroup !== undefined)
      ),
      "has secrets that others can read, or that its user can't",
    ],
  ]);
}

function containerMistakes(
  { kind, name }: Workload,
  container: Container,
  { image, version }: Expected,
): string[] {
  const { securityContext: security, resources, args, command } = container;
  const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
  const isForService = kind === "Deployment";
  const ports = container.ports.map(({ name }) => name);
  const hasLimits = ["cpu", "memory"].every((what) =>
    resources?.requests[what] !== undefined && resources.limits[what] !== undefined
  );
  const mounts = new Set(container.volumeMounts.map(({ name }) => name));
  return sentences(`${name}'s ${container.name}`, [
    [security?.allowPrivilegeEscalation === false, "may gain privileges"],
    [security?.privileged !== true, "is privileged"],
    [security?.readOnlyRootFilesystem === true, "may write to its image"],
    [security?.capabilities?.drop.includes("ALL"), "has capabilities"],
    [security?.capabilities?.add.length === 0, "gets capabilities"],
    [hasLimits, "lacks a request or a limit"],
    [!isForService || (probes[0] && probes[1]), "has no probe for its start or its life"],
    [
      // Prometheus reads metrics of a pod that isn't ready, too.
      !isForService || ports.every((port) => port === "metrics") || probes[2],
      "has no probe for its readiness",
    ],
    [
      probes.every((probe) =>
        probe?.httpGet === undefined || ports.includes(String(probe.httpGet.port))
      ),
      "is probed at a port that it doesn't have",
    ],
    [container.image.endsWith(`lotline:${version}`), `isn't of version ${version}`],
    [
      command !== undefined || image.entrypoint.join(" ") === "deno task --quiet",
      "gives its task to an image that takes none",
    ],
    [command !== undefined || args.length === 1, "names no task"],
    [mounts.has("tmp"), "has no folder for temporary files"],
  ]);
}

/** Each object selects pods that are there, and names ports that they have. */
function selectorMistakes(
  resources: readonly Resource[],
  workloads: readonly Workload[],
): string[] {
  return selectingOf(resources).flatMap(({ of, selector, ports }) => {
    const selected = workloads.filter(({ labels }) => selects(selector, labels));
    if (selected.length === 0) return [`${of} selects no pod`];
    const known = selected.flatMap((workload) =>
      containersOf(workload).flatMap(({ ports }) =>
        ports.flatMap(({ name, containerPort }) => [name, containerPort])
      )
    );
    return ports.filter((port) => !known.includes(port))
      .map((port) => `${of} names the port ${port}, which no selected pod has`);
  });
}

function namespaceMistakes(resources: readonly Resource[]): string[] {
  return resources.filter(({ kind, metadata: { namespace } }) =>
    kind !== "Namespace" && namespace !== "lotline"
  ).map(({ kind, metadata: { name } }) => `${kind} ${name} is in another namespace`);
}

/** What Lotline itself would say about the settings of a container, and what is no setting. */
async function settingMistakes(
  workload: Workload,
  container: Container,
  resources: readonly Resource[],
  { image, components }: Expected,
): Promise<string[]> {
  const who = `${workload.name}'s ${container.name}`;
  const component = components[workload.labels["app.kubernetes.io/component"] ?? ""];
  if (component === undefined) return [`${who} is of no known component`];
  const { tasks, schema } = component;
  const own: Record<string, string> = {};
  for (const { configMapRef: { name } } of container.envFrom) {
    const map = resources.find(({ kind, metadata }) =>
      kind === "ConfigMap" && metadata.name === name
    );
    if (map === undefined) return [`${who} takes settings from ${name}, which isn't there`];
    Object.assign(own, map.data);
  }
  for (const { name, value } of container.env) own[name] = value;
  const allowed = [...RUNTIME, ...tasks.flatMap((task) => allowedEnvironment(task))];
  const found = Object.keys(own).filter((name) => !allowed.includes(name))
    .map((name) => `${who} has ${name}, which is no setting`);
  if (container.command === undefined && !tasks.some((task) => task === container.args[0])) {
    found.push(`${who} runs ${container.args[0]}`);
  }
  found.push(...secretMistakes(who, workload, container, own));
  if (schema === undefined) return found;
  await using folder = await temporaryFolder();
  const environment = await withFiles({ ...image.env, ...own }, container, folder.path);
  const { settings, mistakes } = parseSettings(schema, environment, (line) => found.push(line));
  found.push(...mistakes.map((mistake) => `${who}: ${mistake}`));
  if (settings === undefined) return found;
  for (const [port, setting] of Object.entries(component.ports ?? {})) {
    const actual = container.ports.find(({ name }) => name === port)?.containerPort;
    if (actual !== settings[setting]) found.push(`${who} listens on another port than ${port}`);
  }
  for (const setting of component.hosts ?? []) {
    if (settings[setting] !== "0.0.0.0") found.push(`${who} can't be reached: ${setting}`);
  }
  const pause = container.lifecycle?.preStop?.sleep.seconds ?? 0;
  const needed = pause + Number(settings.DRAIN_SECONDS ?? 0) + (component.endSeconds ?? 0);
  if (component.endSeconds && (workload.spec.terminationGracePeriodSeconds ?? 30) < needed) {
    found.push(`${who} is killed before it has ended, which takes up to ${needed} s`);
  }
  return found;
}

/** A secret comes from a file of a mounted Secret, never from the environment. */
function secretMistakes(
  who: string,
  { spec }: Workload,
  { volumeMounts }: Container,
  own: Readonly<Record<string, string>>,
): string[] {
  const found: string[] = [];
  const volumeOf = (path: string) => {
    const mount = volumeMounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`));
    return spec.volumes.find(({ name }) => name === mount?.name);
  };
  for (const [name, value] of Object.entries(own)) {
    if (`${name}_FILE` in own || SECRET_NAMES.includes(name)) {
      found.push(`${who} has the secret ${name} in its environment`);
    }
    if (!name.endsWith("_FILE")) continue;
    const volume = volumeOf(value);
    if (volume === undefined) found.push(`${who} has nothing mounted at ${name}`);
    if (volume?.secret && SECRETS[basename(value)] === undefined) {
      found.push(
        `${who} reads ${name} from ${basename(value)}, which docs/kubernetes.md doesn't name`,
      );
    }
  }
  return found;
}

const SECRET_NAMES = Object.keys(SECRETS).map((file) => file.replaceAll("-", "_").toUpperCase());

/** The settings of a machine where a folder has the files of the container's secrets. */
async function withFiles(
  environment: Environment,
  { volumeMounts }: Container,
  folder: string,
): Promise<Environment> {
  for (const [name, value] of Object.entries(SECRETS)) {
    await Deno.writeTextFile(join(folder, name), value, { mode: 0o400 });
  }
  return Object.fromEntries(
    Object.entries(environment).map(([name, value = ""]) => {
      const mount = volumeMounts.find(({ mountPath }) => value.startsWith(`${mountPath}/`));
      return [name, mount === undefined ? value : value.replace(mount.mountPath, folder)];
    }),
  );
}

function sentences(
  who: string,
  rules: readonly (readonly [holds: unknown, otherwise: string])[],
): string[] {
  return rules.filter(([holds]) => !holds).map(([, otherwise]) => `${who} ${otherwise}`);
}
