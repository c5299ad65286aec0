import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import type { Thresholds } from "../rollout/thresholds.ts";
import { insertThresholds, readThresholds } from "../rollout/thresholds.ts";
import { setMode } from "../routes/routes_table.ts";
import { startApi, type TestApi } from "../../testing/api.ts";
import { freshDatabase, type TestDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { DRY_RUN_SECRET, startGateway, type TestGateway } from "./gateway.ts";
import { type LegacyProcess, startLegacyProcess } from "./legacy_process.ts";
import { ownValkey } from "../../testing/own_valkey.ts";
import { startWorker } from "../../testing/worker.ts";

/** A complete migration on one database, every part in its own process. */
export interface Cutover extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly legacy: LegacyProcess;
  readonly api: TestApi;
  readonly gateways: readonly TestGateway[];
  /** Sets the mode of operations, all unless given; resolves when every gateway uses it. */
  set(mode: Mode, operations?: readonly LegacyOperation[]): Promise<void>;
}

/**
 * Starts it, on the seed rows, with every route on the old server.
 *
 * @param options.database migrated, and disposed of by its owner; a new one unless given
 * @param options.limits thresholds of routes; by default slowness rolls nothing back, since the
 * machine may be busy
 * @param options.gatewayEnvironment further settings of every gateway
 * @param options.legacyUrl the gateways' old server, on the same database
 * @param options.serviceUrl put between the gateways and Lotline, to spoil its responses
 */
export async function startCutover(
  options: {
    gateways?: number;
    database?: TestDatabase;
    limits?: Partial<Thresholds>;
    gatewayEnvironment?: Record<string, string>;
    legacyUrl?: (databaseUrl: string) => Promise<{ url: string } & AsyncDisposable>;
    serviceUrl?: (api: string) => Promise<{ url: string } & AsyncDisposable>;
  } = {},
): Promise<Cutover> {
  await using stack = new AsyncDisposableStack();
  const database = options.database ?? stack.use(await freshDatabase());
  await resetToSeed(database.sql, await loadSeed());
  const limits = {
    ...await readThresholds(database.sql),
    ...options.limits ?? { latency_slack_ms: 60_000 },
  };
  await insertThresholds(database.sql, limits, { who: "test", why: "this machine may be busy" });
  const valkey = stack.use(await ownValkey());
  const environment = { VALKEY_URL: valkey.server.url };
  const [legacy, api] = await Promise.all([
    startLegacyProcess({ databaseUrl: database.url }),
    startApi({ databaseUrl: database.url, environment: { ...environment, DRY_RUN_SECRET } }),
    startWorker({ databaseUrl: database.url, environment }).then((worker) => stack.use(worker)),
  ]);
  stack.use(legacy);
  stack.use(api);
  const old = options.legacyUrl && stack.use(await options.legacyUrl(database.url));
  const service = options.serviceUrl && stack.use(await options.serviceUrl(api.url));
  const gateways: TestGateway[] = [];
  for (let started = 0; started < (options.gateways ?? 1); started++) {
    gateways.push(
      stack.use(
        await startGateway({
          databaseUrl: database.url,
          legacyUrl: old?.url ?? legacy.url,
          serviceUrl: service?.url ?? api.url,
          ...options.gatewayEnvironment && { environment: options.gatewayEnvironment },
        }),
      ),
    );
  }
  const parts = stack.move();
  return {
    database,
    legacy,
    api,
    gateways,
    async set(mode, operations = LEGACY_OPERATIONS) {
      for (const operation of operations) {
        await setMode(database.sql, { operation, mode, who: "test", why: "the next step" });
      }
      await eventually(`every gateway uses ${mode.name}`, async () => {
        const all = await Promise.all(gateways.map((gateway) => gateway.modes()));
        return all.every((modes) => operations.every((one) => modes[one] === mode.name));
      });
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
