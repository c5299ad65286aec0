import type { LegacyOperation } from "../exchange/operations.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { startLegacyProcess } from "../testing/legacy_process.ts";
import type { Major } from "../../testing/postgres_servers.ts";
import { DRY_RUN_SECRET } from "../testing/shadow_rig.ts";
import { type Lane, startLane } from "./lane.ts";

/** The old server's stand-in and Lotline, each with its own database of the seed's rows. */
export interface Twins extends AsyncDisposable {
  readonly legacyUrl: string;
  /** A lane to both for one operation: stored rows are removed afterwards. */
  lane(operation: LegacyOperation): Promise<Lane>;
}

/** Starts both. `serviceUrl` is put before Lotline, to spoil its responses. */
export async function startTwins(
  options: {
    readonly major?: Major;
    readonly serviceUrl?: (api: string) => Promise<{ readonly url: string } & AsyncDisposable>;
  } = {},
): Promise<Twins> {
  await using stack = new AsyncDisposableStack();
  const { major = 17 } = options;
  const ofLegacy = stack.use(await freshDatabase({ major }));
  const ofService = stack.use(await freshDatabase({ major }));
  const seed = await loadSeed();
  for (const { sql } of [ofLegacy, ofService]) await resetToSeed(sql, seed);
  const legacy = stack.use(await startLegacyProcess({ databaseUrl: ofLegacy.url }));
  const environment = { DRY_RUN_SECRET };
  const api = stack.use(await startApi({ databaseUrl: ofService.url, environment }));
  const service = options.serviceUrl && stack.use(await options.serviceUrl(api.url));
  const parts = stack.move();
  return {
    legacyUrl: legacy.url,
    lane: (operation) =>
      startLane(operation, {
        legacy: { url: legacy.url, sql: ofLegacy.sql },
        service: { url: service?.url ?? api.url, sql: ofService.sql },
      }),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
