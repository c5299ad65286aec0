import { join } from "node:path";
import { freePort } from "./free_port.ts";
import { type Observers, startObservers } from "./observe.ts";
import type { ObservePrograms } from "./observe_programs.ts";

/** The ports of the processes' metrics, by the jobs of `deploy/observe/prometheus.yml`. */
export type MetricsPorts = Readonly<Record<string, number>>;

/** So often that a graph begins within half a minute. */
const INTERVAL_SECONDS = 5;

/** Free ports for the processes of a run of `deno task dev`. */
export function metricsPorts(cutover: boolean): MetricsPorts {
  const jobs = ["lotline-api", "lotline-worker", ...cutover ? ["lotline-gateway"] : []];
  return Object.fromEntries(jobs.map((job) => [job, freePort()]));
}

/** The setting of one process; none without ports. */
export function metricsSetting(
  ports: MetricsPorts | undefined,
  job: string,
): Record<string, string> {
  const port = ports?.[job];
  return port === undefined ? {} : { METRICS_PORT: String(port) };
}

/** Starts Prometheus and Alertmanager for these processes, with their data in the state folder. */
export function startDevObservers(
  programs: Pick<ObservePrograms, "prometheus" | "alertmanager">,
  ports: MetricsPorts,
  stateFolder: string,
): Promise<Observers> {
  const targets = Object.fromEntries(
    Object.entries(ports).map(([job, port]) => [job, [`127.0.0.1:${port}`]]),
  );
  return startObservers({
    programs,
    folder: join(stateFolder, "observe"),
    targets,
    intervalSeconds: INTERVAL_SECONDS,
  });
}
