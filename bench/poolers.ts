/**
 * Measures Lotline through PgBouncer, next to itself without.
 *
 * @module
 */

import { type PgBouncer, startPgBouncer } from "../testing/pgbouncer.ts";
import type { Contender } from "./contender.ts";
import { measure } from "./measure.ts";
import { startLotline } from "./servers.ts";
import type { Study } from "./study.ts";
import { tableOf } from "./table.ts";
import { workloadNamed } from "./workloads.ts";

const SECONDS = 5;
const WORKLOADS = ["trace", "login", "qc", "lot"].map(workloadNamed);
/** As many as Lotline has without a pooler. */
const CONNECTIONS = { default_pool_size: "10" };

const throughPgBouncer = (
  version: string,
  options: NonNullable<Parameters<typeof startPgBouncer>[1]>,
): Contender => ({
  // Also the name of its database.
  name: `pgbouncer_${version.replace(".", "_")}`,
  title: `Lotline through PgBouncer ${version}`,
  async start(place) {
    const bouncer: PgBouncer = await startPgBouncer(place.databaseUrl, options);
    const databaseUrl = bouncer.through(place.databaseUrl);
    const running = await startLotline({ ...place, databaseUrl }, { AUTH_MODE: "legacy" });
    return {
      ...running,
      helpers: [bouncer.pid],
      [Symbol.asyncDispose]: async () => {
        await running[Symbol.asyncDispose]();
        await bouncer[Symbol.asyncDispose]();
      },
    };
  },
});

const CONTENDERS: readonly Contender[] = [
  {
    name: "direct",
    title: "Lotline without a pooler",
    start: (place) => startLotline(place, { AUTH_MODE: "legacy", DATABASE_POOLER: "none" }),
  },
  throughPgBouncer("1.18", { release: "bookworm", settings: CONNECTIONS }),
  throughPgBouncer("1.24", {
    release: "trixie",
    settings: { ...CONNECTIONS, max_prepared_statements: "200" },
  }),
];

export const POOLERS: Study = {
  name: "poolers",
  async run({ seconds = SECONDS, ...options }) {
    const { rounds } = options;
    const what = { contenders: CONTENDERS, workloads: WORKLOADS };
    const runs = await measure({ ...options, ...what, seconds });
    return {
      text:
        `Median of ${rounds} rounds of ${seconds} s · ratio (least–greatest) to Lotline without ` +
        `a pooler; the pooler's processor time counts as the server's\n\n` +
        tableOf(runs, WORKLOADS, CONTENDERS),
      figures: { rounds, seconds, runs },
      takenByOthers: runs.map(({ takenByOthers }) => takenByOthers),
    };
  },
};
