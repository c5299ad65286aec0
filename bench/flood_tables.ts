/**
 * What a flood of logins did, as tables that people read.
 *
 * @module
 */

import type { Costs } from "./costs.ts";
import { FLOODS, ROUTES, type Stretch } from "./login_flood.ts";
import { inDigits, markdownTable, median, type Ratio, ratioText, spreadOf } from "./table.ts";

/** Other routes' p99 in a flood may be this many times the quiet one. */
const MOST = 2;

/** A route's p99 in a flood beside that in the quiet stretch of the same round. */
export function floodRatio(
  stretches: readonly Stretch[],
  route: typeof ROUTES[number],
  flood: string,
): Ratio | undefined {
  const quiet = stretches.filter((stretch) => stretch.flood === undefined);
  const flooded = stretches.filter((stretch) => stretch.flood === flood);
  return spreadOf(flooded.flatMap(({ round, routes }) => {
    const same = quiet.find((stretch) => stretch.round === round);
    return same === undefined ? [] : [routes[route].p99Ms / same.routes[route].p99Ms];
  }));
}

/** One row a route and flood: what its users waited, in the quiet and in the flood. */
export function floodTable(stretches: readonly Stretch[]): string {
  const head = ["", "route", "quiet p50 ms", "p50 ms", "quiet p99 ms", "p99 ms", "within 2×"];
  const rows = FLOODS.flatMap(({ name, title }) =>
    ROUTES.map((route) => {
      const ms = (flood: string | undefined, figure: "p50Ms" | "p99Ms") =>
        median(
          stretches.filter((stretch) => stretch.flood === flood)
            .map(({ routes }) => routes[route][figure]),
        ).toFixed(1);
      const ratio = floodRatio(stretches, route, name);
      return [
        title,
        `\`${route}\``,
        ms(undefined, "p50Ms"),
        ms(name, "p50Ms"),
        ms(undefined, "p99Ms"),
        ms(name, "p99Ms") + (ratio === undefined ? "" : ` · ${ratioText(ratio)}`),
        ratio !== undefined && ratio.median <= MOST ? "yes" : "NO",
      ];
    })
  );
  return markdownTable(head, rows);
}

const SHARES: readonly { title: string; of: keyof Costs }[] = [
  { title: "server", of: "server" },
  { title: "database", of: "database" },
  { title: "load", of: "own" },
  { title: "others", of: "others" },
  { title: "idle", of: "idle" },
];

/** One row for the quiet and each flood: what became of the logins, and who took the machine. */
export function loginTable(stretches: readonly Stretch[]): string {
  const head = ["", "200/s", "401/s", "429/s"].concat(SHARES.map(({ title }) => `${title} %`));
  const kinds = [{ name: undefined, title: "quiet" }, ...FLOODS];
  const rows = kinds.map(({ name, title }) => {
    const own = stretches.filter((stretch) => stretch.flood === name);
    const answered = ["200", "401", "429"].map((status) => {
      const perSecond = own.map(({ logins }) =>
        logins === undefined ? 0 : (logins.statuses[status] ?? 0) / logins.seconds
      );
      return inDigits(median(perSecond), 1);
    });
    const shares = SHARES.map(({ of }) =>
      inDigits(median(own.map(({ costs }) => 100 * costs[of] / costs.all)), 0)
    );
    return [title, ...answered, ...shares];
  });
  return markdownTable(head, rows);
}
