import { ok, strictEqual } from "node:assert/strict";
import { ApiSettings } from "../config.ts";
import { readImage } from "../containers/project.ts";
import { MigrateSettings } from "../db/config.ts";
import { WorkerSettings } from "../jobs/config.ts";
import { readResources, type Resource } from "../testing/kubernetes/manifests.ts";
import type { Expected } from "../testing/kubernetes/mistakes.ts";
import { findsPlanted, lotlineMistakes, schemaMistakes } from "../testing/kubernetes/planted.ts";
import { testWithKubernetesTools } from "../testing/kubernetes/test.ts";
import { RELEASE } from "../version.ts";
import { GatewaySettings } from "./config.ts";

const EXAMPLE = "cutover/kubernetes/example";

const image = await readImage();
const EXPECTED: Expected = {
  image,
  version: RELEASE,
  components: {
    // main.ts: 15 s for requests, 3 for comparisons, 7 for the rest.
    gateway: {
      tasks: ["gateway"],
      schema: GatewaySettings,
      ports: { http: "GATEWAY_PORT", admin: "GATEWAY_ADMIN_PORT", metrics: "METRICS_PORT" },
      hosts: ["HOST", "GATEWAY_ADMIN_HOST", "METRICS_HOST"],
      endSeconds: 25,
    },
    api: { tasks: ["start"], schema: ApiSettings },
    worker: { tasks: ["worker"], schema: WorkerSettings },
    migrate: { tasks: ["migrate"], schema: MigrateSettings },
    commands: { tasks: ["grants", "keys", "user", "jobs", "cutover"] },
  },
};

const test = await testWithKubernetesTools();

test("the gateway's Kubernetes files keep to the schemas, and to what it needs", async (tools) => {
  const documents = await tools.render(EXAMPLE);
  strictEqual(await schemaMistakes(tools, documents), "");
  strictEqual(await lotlineMistakes(documents, EXPECTED), "");
});

test("the gateway finds the API by its Service, and clients find the gateway, not its admin port", async (tools) => {
  const resources = readResources(await tools.render(EXAMPLE));
  const named = (kind: string, prefix: string) =>
    resources.find((one) => one.kind === kind && one.metadata.name.startsWith(prefix));
  const portOf = (service: Resource | undefined) => JSON.stringify(service?.spec.ports);
  const url = new URL(named("ConfigMap", "lotline-gateway-")?.data?.SERVICE_URL ?? "");
  ok(portOf(named("Service", url.hostname)).includes(`"port":${url.port}`), url.href);
  const ingress = JSON.stringify(named("Ingress", "lotline-api")?.spec);
  ok(ingress.includes('"service":{"name":"lotline-gateway","port":{"name":"http"}}'), ingress);
  ok(!portOf(named("Service", "lotline-gateway")).includes("admin"));
});

test("both sides of a dry run have its secret", async (tools) => {
  const documents = await tools.render(EXAMPLE);
  strictEqual(documents.match(/name: DRY_RUN_SECRET_FILE/g)?.length, 2);
});

test("each mistake in the gateway's Kubernetes files is found", async (tools) => {
  await findsPlanted(await tools.render(EXAMPLE), [
    { from: "LEGACY_URL: http:", to: "LEGACY_URL: https:", says: /LEGACY_URL is invalid/ },
    { from: "GATEWAY_ADMIN_HOST: 0.0.0.0", to: "GATEWAY_ADMIN_HOST: 127.0.0.1", says: /reached/ },
    { from: "seconds: 10", to: "seconds: 20", says: /gateway is killed before it has ended/ },
    { from: "containerPort: 8081", to: "containerPort: 8082", says: /another port than admin/ },
    { from: "targetPort: admin", to: "targetPort: administration", says: /names the port admin/ },
    { from: "CANARY_BY: client", to: "CANARY_BY: clients", says: /CANARY_BY is invalid/ },
    { from: "lotline/gateway-admin-token", to: "lotline/database-url", says: /ADMIN_TOKEN is inv/ },
    {
      from:
        "          app.kubernetes.io/component: gateway\n          app.kubernetes.io/name: lotline\n    ports:",
      to: "          app.kubernetes.io/component: door\n    ports:",
      says: /a peer of NetworkPolicy lotline-api-gateway selects no pod/,
    },
  ], (documents) => lotlineMistakes(documents, EXPECTED));
});
