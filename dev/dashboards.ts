/**
 * The dashboards of `deploy/observe/grafana/`, and what Prometheus says to their queries.
 *
 * @module
 */
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { OBSERVE_FOLDER } from "./observe.ts";

export const DASHBOARDS_FOLDER = join(OBSERVE_FOLDER, "grafana", "dashboards");

const Dashboard = z.object({
  uid: z.string(),
  title: z.string(),
  panels: z.array(z.object({
    title: z.string(),
    type: z.string(),
    gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
    description: z.string().optional(),
    datasource: z.object({ uid: z.string() }).optional(),
    targets: z.array(z.object({ expr: z.string(), legendFormat: z.string() })).default([]),
  })),
});

export type Dashboard = z.output<typeof Dashboard>;

/** A query of a panel, as Grafana sends it. */
export interface PanelQuery {
  readonly dashboard: string;
  readonly panel: string;
  readonly query: string;
  /** The name of a result, with its labels in double braces; empty: all its labels. */
  readonly legend: string;
}

/** One result of a query. */
export interface QueryResult {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: string;
}

/** All dashboards, by their files' names. */
export async function readDashboards(): Promise<ReadonlyMap<string, Dashboard>> {
  const names = (await Array.fromAsync(Deno.readDir(DASHBOARDS_FOLDER))).map(({ name }) => name);
  const read = names.sort().map(async (name) => {
    const text = await Deno.readTextFile(join(DASHBOARDS_FOLDER, name));
    return [name, Dashboard.parse(JSON.parse(text))] as const;
  });
  return new Map(await Promise.all(read));
}

/** The queries of dashboards, over the last `range`, such as `5m`, where Grafana takes what is shown. */
export function queriesOf(
  dashboards: ReadonlyMap<string, Dashboard>,
  range: string,
): PanelQuery[] {
  return [...dashboards.values()].flatMap(({ title: dashboard, panels }) =>
    panels.flatMap(({ title: panel, targets }) =>
      targets.map(({ expr, legendFormat }) => ({
        dashboard,
        panel,
        legend: legendFormat,
        query: expr.replaceAll(/\$__(?:rate_interval|range)\b/g, range),
      }))
    )
  );
}

const Rules = z.object({
  groups: z.array(z.object({ rules: z.array(z.object({ expr: z.string() })) })),
});

/** The expressions of all rules. */
export async function ruleExpressions(): Promise<string[]> {
  const folder = join(OBSERVE_FOLDER, "rules");
  const files = await Array.fromAsync(Deno.readDir(folder));
  const texts = await Promise.all(files.map(({ name }) => Deno.readTextFile(join(folder, name))));
  return texts.flatMap((text) => Rules.parse(parse(text)).groups)
    .flatMap(({ rules }) => rules.map(({ expr }) => expr));
}

/** Lotline's series that expressions name, a histogram by its own name. */
export function seriesOf(expressions: readonly string[]): string[] {
  const names = expressions.flatMap((text) => [
    ...text.matchAll(/(?<![\w:])(?:lotline|process)_[a-z_]+/g),
  ]).map(([name]) => name.replace(/_(?:bucket|count|sum)$/, ""));
  return [...new Set(names)].sort();
}

const Answer = z.discriminatedUnion("status", [
  z.object({
    status: z.literal("success"),
    data: z.object({
      result: z.array(z.object({
        metric: z.record(z.string(), z.string()),
        value: z.tuple([z.number(), z.string()]),
      })),
    }),
  }),
  z.object({ status: z.literal("error"), error: z.string() }),
]);

/** What a Prometheus says to a query now. @throws Error with its message when the query is wrong */
export async function queryNow(prometheusUrl: string, query: string): Promise<QueryResult[]> {
  const response = await fetch(`${prometheusUrl}/api/v1/query`, {
    method: "POST",
    body: new URLSearchParams({ query }),
  });
  const answer = Answer.parse(await response.json());
  if (answer.status === "error") throw new Error(`${query}: ${answer.error}`);
  return answer.data.result.map(({ metric, value: [, value] }) => ({ labels: metric, value }));
}

/** The name of a result, as Grafana writes it beside a line. */
export function nameOf({ labels }: QueryResult, legend: string): string {
  if (legend === "") {
    return Object.entries(labels).map(([label, value]) => `${label}=${value}`).join(" ");
  }
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? "");
}
