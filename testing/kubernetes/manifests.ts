import { parseAllDocuments } from "yaml";
import { z } from "zod";

/*
 * Kubernetes' objects as far as the tests look at them. Their full form is the schemas' business.
 */

const Labels = z.record(z.string(), z.string());

const Selector = z.object({
  matchLabels: Labels.default({}),
  matchExpressions: z.array(
    z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).default([]) }),
  ).default([]),
});

const Handler = z.object({
  httpGet: z.object({ path: z.string(), port: z.union([z.string(), z.number()]) }).optional(),
  exec: z.object({ command: z.array(z.string()) }).optional(),
});

const Container = z.object({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).default([]),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).default([]),
  envFrom: z.array(z.object({ configMapRef: z.object({ name: z.string() }) })).default([]),
  env: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
  resources: z.object({ requests: Labels.default({}), limits: Labels.default({}) }).optional(),
  startupProbe: Handler.optional(),
  livenessProbe: Handler.optional(),
  readinessProbe: Handler.optional(),
  lifecycle: z.object({
    preStop: z.object({ sleep: z.object({ seconds: z.number() }) }).optional(),
  }).optional(),
  securityContext: z.object({
    allowPrivilegeEscalation: z.boolean().optional(),
    readOnlyRootFilesystem: z.boolean().optional(),
    privileged: z.boolean().optional(),
    capabilities: z.object({
      drop: z.array(z.string()).default([]),
      add: z.array(z.string()).default([]),
    }).optional(),
  }).optional(),
  volumeMounts: z.array(
    z.object({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() }),
  ).default([]),
});

const PodSpec = z.object({
  serviceAccountName: z.string().optional(),
  automountServiceAccountToken: z.boolean().optional(),
  enableServiceLinks: z.boolean().optional(),
  restartPolicy: z.string().optional(),
  terminationGracePeriodSeconds: z.number().optional(),
  securityContext: z.object({
    runAsNonRoot: z.boolean().optional(),
    runAsUser: z.number().optional(),
    runAsGroup: z.number().optional(),
    fsGroup: z.number().optional(),
    seccompProfile: z.object({ type: z.string() }).optional(),
  }).optional(),
  topologySpreadConstraints: z.array(z.object({ labelSelector: Selector })).default([]),
  initContainers: z.array(Container).default([]),
  containers: z.array(Container),
  volumes: z.array(z.object({
    name: z.string(),
    secret: z.object({ secretName: z.string(), defaultMode: z.number() }).optional(),
    emptyDir: z.object({ sizeLimit: z.string().optional() }).optional(),
  })).default([]),
});

const Template = z.object({ metadata: z.object({ labels: Labels }), spec: PodSpec });

const Peer = z.object({ podSelector: Selector.optional(), namespaceSelector: Selector.optional() });
const Rule = z.object({
  from: z.array(Peer).default([]),
  to: z.array(Peer).default([]),
  ports: z.array(z.object({ port: z.union([z.string(), z.number()]) })).default([]),
});

const Resource = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.object({
    name: z.string(),
    namespace: z.string().optional(),
    labels: Labels.default({}),
  }),
  data: Labels.optional(),
  spec: z.record(z.string(), z.unknown()).default({}),
});

export type Resource = z.output<typeof Resource>;
export type Selector = z.output<typeof Selector>;
export type Container = z.output<typeof Container>;

/** What makes pods: a Deployment, a Job, or a CronJob that is suspended. */
export interface Workload {
  readonly kind: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: z.output<typeof PodSpec>;
  /** Of a Deployment. */
  readonly selector: Selector | undefined;
}

/** The objects of YAML documents. @throws {z.ZodError} when one has another form */
export const readResources = (documents: string): readonly Resource[] =>
  // kubectl reads YAML 1.1, in which 0440 is octal.
  parseAllDocuments(documents, { version: "1.1" })
    .map((document) => Resource.parse(document.toJS()));

/** @throws {z.ZodError} when a template has another form */
export function workloadsOf(resources: readonly Resource[]): readonly Workload[] {
  const Job = z.object({ template: Template, selector: Selector.optional() });
  return resources.flatMap(({ kind, metadata: { name }, spec }) => {
    if (!["Deployment", "Job", "CronJob"].includes(kind)) return [];
    const { template, selector } = kind === "CronJob"
      ? z.object({ jobTemplate: z.object({ spec: Job }) }).parse(spec).jobTemplate.spec
      : Job.parse(spec);
    return { kind, name, labels: template.metadata.labels, spec: template.spec, selector };
  });
}

/** Objects that select pods, with their selectors and the ports that they name. */
export interface Selecting {
  readonly of: string;
  readonly selector: Selector;
  readonly ports: readonly (string | number)[];
}

export function selectingOf(resources: readonly Resource[]): readonly Selecting[] {
  return resources.flatMap(({ kind, metadata: { name }, spec }): Selecting[] => {
    const of = `${kind} ${name}`;
    if (kind === "Service") {
      const { selector, ports } = z.object({
        selector: Labels,
        ports: z.array(z.object({ targetPort: z.union([z.string(), z.number()]) })),
      }).parse(spec);
      return [{
        of,
        selector: Selector.parse({ matchLabels: selector }),
        ports: ports.map(({ targetPort }) => targetPort),
      }];
    }
    if (kind === "PodDisruptionBudget") {
      return [{ of, selector: Selector.parse(spec.selector), ports: [] }];
    }
    if (kind !== "NetworkPolicy") return [];
    const { podSelector, ingress, egress } = z.object({
      podSelector: Selector,
      ingress: z.array(Rule).default([]),
      egress: z.array(Rule).default([]),
    }).parse(spec);
    const portsOf = (rules: readonly z.output<typeof Rule>[]) =>
      rules.flatMap(({ ports }) => ports.map(({ port }) => port));
    // A peer with no namespace is a pod of this one.
    const peers = (rules: readonly z.output<typeof Rule>[]) =>
      rules.flatMap(({ from, to, ports }) =>
        [...from, ...to].flatMap(({ podSelector, namespaceSelector }) =>
          podSelector === undefined || namespaceSelector !== undefined
            ? []
            : [{ selector: podSelector, ports: ports.map(({ port }) => port) }]
        )
      );
    return [
      { of, selector: podSelector, ports: portsOf(ingress) },
      // Ports of the other end are numbers of servers that aren't ours, unless a peer says whose.
      ...peers(egress).map((peer) => ({ of: `a peer of ${of}`, ...peer })),
      ...peers(ingress).map(({ selector }) => ({ of: `a peer of ${of}`, selector, ports: [] })),
    ];
  });
}

/** Whether a selector chooses pods with these labels. */
export function selects(
  { matchLabels, matchExpressions }: Selector,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      if (operator !== "In") throw new Error(`${operator} is unknown to the tests`);
      return values.includes(labels[key] ?? "");
    });
}
