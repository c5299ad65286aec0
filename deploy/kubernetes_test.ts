import { notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ApiSettings } from "../config.ts";
import { readImage } from "../containers/project.ts";
import { MigrateSettings } from "../db/config.ts";
import { WorkerSettings } from "../jobs/config.ts";
import { GRACE_MS } from "../jobs/worker.ts";
import { readResources, workloadsOf } from "../testing/kubernetes/manifests.ts";
import type { Expected } from "../testing/kubernetes/mistakes.ts";
import {
  findsPlanted,
  KUBERNETES_VERSIONS,
  lotlineMistakes,
  schemaMistakes,
} from "../testing/kubernetes/planted.ts";
import { testWithKubernetesTools } from "../testing/kubernetes/test.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { RELEASE } from "../version.ts";

const EXAMPLE = "deploy/kubernetes/example";

const image = await readImage();
const EXPECTED: Expected = {
  image,
  version: RELEASE,
  components: {
    // main.ts gives accepted requests 15 s.
    api: {
      tasks: ["start"],
      schema: ApiSettings,
      ports: { http: "PORT", metrics: "METRICS_PORT" },
      hosts: ["HOST", "METRICS_HOST"],
      endSeconds: 15,
    },
    // worker.ts adds 8 s to the grace of its jobs.
    worker: {
      tasks: ["worker"],
      schema: WorkerSettings,
      ports: { metrics: "METRICS_PORT" },
      hosts: ["METRICS_HOST"],
      endSeconds: GRACE_MS / 1_000 + 8,
    },
    migrate: { tasks: ["migrate"], schema: MigrateSettings },
    commands: { tasks: ["grants", "keys", "user", "jobs"] },
  },
};

const NEWEST = KUBERNETES_VERSIONS.slice(-1);

const test = await testWithKubernetesTools();

test("the service's Kubernetes files keep to the schemas, and to what Lotline needs", async (tools) => {
  const documents = await tools.render(EXAMPLE);
  strictEqual(await schemaMistakes(tools, documents), "");
  strictEqual(await lotlineMistakes(documents, EXPECTED), "");
});

test("with the autoscaler it alone has the number of APIs", async (tools) => {
  const documents = await tools.renderWith(EXAMPLE, "deploy/kubernetes/autoscaling");
  strictEqual(await schemaMistakes(tools, documents, NEWEST), "");
  strictEqual(await lotlineMistakes(documents, EXPECTED), "");
  const replicas = Object.fromEntries(
    readResources(documents).flatMap(({ kind, metadata, spec }) =>
      kind === "Deployment" ? [[metadata.name, spec.replicas]] : []
    ),
  );
  strictEqual(JSON.stringify(replicas), '{"lotline-worker":2}');
});

test("each version has a migration of its own", async (tools) => {
  const jobs = workloadsOf(readResources(await tools.render(EXAMPLE)))
    .filter(({ kind }) => kind === "Job").map(({ name }) => name);
  strictEqual(jobs.join(), `lotline-migrate-${RELEASE.replaceAll(".", "-")}`);
});

test("the worker's probe fails when its heartbeat is a minute old", async (tools) => {
  const probe = workloadsOf(readResources(await tools.render(EXAMPLE)))
    .flatMap(({ spec }) => spec.containers).find(({ name }) => name === "worker")?.livenessProbe;
  await using folder = await temporaryFolder();
  const file = `${folder.path}/heartbeat`;
  const [command = "", ...args] = (probe?.exec?.command ?? [])
    .map((word) => word.replace("/tmp/heartbeat", file));
  const code = async () =>
    (await new Deno.Command(command, { args, stderr: "null" }).output()).code;
  notStrictEqual(await code(), 0, "there is none");
  await Deno.writeTextFile(file, "");
  strictEqual(await code(), 0);
  await Deno.utime(file, 0, Date.now() / 1_000 - 61);
  strictEqual(await code(), 1);
});

test("a kustomization that names what isn't there is refused", async (tools) => {
  const refused = await tools.renderWith(EXAMPLE, "deploy/kubernetes/autoscale").catch(String);
  ok(refused.includes("autoscale"), refused);
});

const START_PROBE = `        startupProbe:
          failureThreshold: 60
          httpGet:
            path: /livez
            port: http
          periodSeconds: 1
          timeoutSeconds: 5
`;
const ADDRESS_FILE = `DATABASE_URL_FILE
          value: /run/secrets/lotline/database-url`;
const ADDRESS = `DATABASE_URL
          value: postgres://lotline:secret@db/plant`;
const BUDGET = `  selector:
    matchLabels:
      app.kubernetes.io/component: api
      app.kubernetes.io/name: lotline
  unhealthyPodEvictionPolicy`;
const POLICY = `  podSelector:
    matchLabels:
      app.kubernetes.io/name: lotline
  policyTypes:
  - Ingress
  - Egress`;

test("each field that Kubernetes doesn't know, or knows otherwise, is found by the schemas", async (tools) => {
  await findsPlanted(await tools.render(EXAMPLE), [
    { from: "revisionHistoryLimit: 5", to: "revisionHistory: 5", says: /revisionHistory/ },
    { from: "replicas: 2", to: "replicas: two", says: /replicas: 'two'/ },
    { from: "apiVersion: policy/v1", to: "apiVersion: policy/v9", says: /schema for kind Pod/ },
    { from: "readOnlyRootFilesystem: true", to: "readOnly: true", says: /readOnly/ },
  ], (documents) => schemaMistakes(tools, documents, NEWEST));
});

test("each mistake that only Lotline can know of is found", async (tools) => {
  await findsPlanted(await tools.render(EXAMPLE), [
    // Pods.
    { from: "runAsNonRoot: true", to: "runAsNonRoot: false", says: /may run as root/ },
    { from: "runAsUser: 1000", to: "runAsUser: 0", says: /may run as root/ },
    { from: "type: RuntimeDefault", to: "type: Unconfined", says: /any system call/ },
    { from: "enableServiceLinks: false", to: "enableServiceLinks: true", says: /of Services/ },
    { from: "defaultMode: 288", to: "defaultMode: 292", says: /others can read/ },
    { from: "sizeLimit: 64Mi", to: "medium: Memory", says: /without a bound/ },
    // Containers.
    { from: "- ALL", to: "- KILL", says: /has capabilities/ },
    { from: "readOnlyRootFilesystem: true", to: "privileged: false", says: /write to its image/ },
    {
      from: "limits:\n            cpu: ",
      to: "limits:\n            gpu: ",
      says: /lacks a .* limit/,
    },
    { from: START_PROBE, to: "", says: /lotline-api's api has no probe for its start/ },
    {
      from: "path: /readyz\n            port: http",
      to: "path: /readyz\n            port: web",
      says: /probed at a port/,
    },
    { from: `lotline:${RELEASE}`, to: "lotline:latest", says: /isn't of version/ },
    { from: "- start\n", to: "- strat\n", says: /runs strat/ },
    // Settings.
    { from: "DRAIN_SECONDS:", to: "DRAIN_SECOND:", says: /DRAIN_SECOND, which is no setting/ },
    { from: 'DRAIN_SECONDS: "10"', to: "DRAIN_SECONDS: soon", says: /DRAIN_SECONDS is invalid/ },
    { from: 'DRAIN_SECONDS: "10"', to: 'DRAIN_SECONDS: "25"', says: /killed before it has ended/ },
    { from: "  AUTH_MODE: required\n", to: "", says: /AUTH_MODE is missing/ },
    { from: ADDRESS_FILE, to: ADDRESS, says: /has the secret DATABASE_URL in its environment/ },
    { from: "lotline/jwt-keys", to: "lotlin/jwt-keys", says: /nothing mounted at JWT_KEYS_FILE/ },
    { from: "lotline/jwt-keys.json", to: "lotline/keys", says: /from keys, which/ },
    { from: "lotline/valkey-url", to: "lotline/metrics-token", says: /VALKEY_URL is invalid/ },
    { from: "METRICS_HOST: 0.0.0.0", to: "METRICS_HOST: 127.0.0.1", says: /reached: METRICS_HOST/ },
    { from: "containerPort: 9464", to: "containerPort: 9465", says: /another port than metrics/ },
    {
      from: "- port: metrics\n",
      to: "- port: measures\n",
      says: /lotline-metrics names the port measures/,
    },
    { from: "containerPort: 8000", to: "containerPort: 8001", says: /another port than http/ },
    // What belongs together.
    {
      from: "targetPort: http",
      to: "targetPort: web",
      says: /Service lotline-api names the port web/,
    },
    { from: BUDGET, to: BUDGET.replace("api", "apis"), says: /Budget lotline-api selects no pod/ },
    {
      from: POLICY,
      to: POLICY.replace(": lotline", ": lotlin"),
      says: /Policy lotline-deny selects/,
    },
    {
      from: "- port: http\n",
      to: "- port: 8001\n",
      says: /lotline-api-callers names the port 8001/,
    },
    { from: "namespace: lotline", to: "namespace: other", says: /is in another namespace/ },
  ], (documents) => lotlineMistakes(documents, EXPECTED));
});
