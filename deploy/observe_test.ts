import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import {
  DASHBOARDS_FOLDER,
  queriesOf,
  readDashboards,
  ruleExpressions,
  seriesOf,
} from "../dev/dashboards.ts";
import type { DebianProgram } from "../dev/debian_packages.ts";
import { ensureGoProgram, NeedsGo } from "../dev/go_program.ts";
import { OBSERVE_FOLDER } from "../dev/observe.ts";
import { debianObservePrograms } from "../dev/observe_programs.ts";
import { PROJECT_FOLDER } from "../dev/state_folder.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";

const Rules = z.object({
  groups: z.array(z.object({
    name: z.string(),
    rules: z.array(z.object({
      alert: z.string().optional(),
      expr: z.string(),
      for: z.string().optional(),
      labels: z.record(z.string(), z.string()).default({}),
      annotations: z.record(z.string(), z.string()).default({}),
    })),
  })),
});
const RuleTests = z.object({
  rule_files: z.array(z.string()),
  tests: z.array(z.object({
    promql_expr_test: z.array(z.object({
      exp_samples: z.array(z.object({ labels: z.string() })).default([]),
    })).default([]),
    alert_rule_test: z.array(z.object({
      alertname: z.string(),
      exp_alerts: z.array(z.unknown()).default([]),
    })).default([]),
  })),
});
const Provisioned = z.object({ datasources: z.array(z.object({ uid: z.string() })) });

const names = (folder: string) =>
  Array.fromAsync(Deno.readDir(join(OBSERVE_FOLDER, folder)))
    .then((entries) => entries.map(({ name }) => name).sort());
const read = (...path: string[]) => Deno.readTextFile(join(OBSERVE_FOLDER, ...path));
const page = (path: string) => Deno.readTextFile(join(PROJECT_FOLDER, path));

const files = await names("rules");
const rules = await Promise.all(files.map(async (file) => {
  const text = await read("rules", file);
  return { file, text, groups: Rules.parse(parse(text)).groups };
}));
const alerts = rules.flatMap(({ file, groups }) =>
  groups.flatMap(({ rules }) => rules.flatMap((rule) => ({ file, ...rule })))
).flatMap(({ alert, ...rule }) => alert === undefined ? [] : [{ alert, ...rule }]);
const dashboards = await readDashboards();

async function run(program: DebianProgram, args: readonly string[]) {
  const { success, stdout, stderr } = await new Deno.Command(program.command, {
    args: [...program.args, ...args],
    cwd: OBSERVE_FOLDER,
  }).output();
  return { success, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

Deno.test("Prometheus takes its configuration with all rules, and Alertmanager its own", async () => {
  const { promtool, amtool } = await debianObservePrograms();
  const config = await run(promtool, ["check", "config", "prometheus.yml"]);
  ok(config.success, config.output);
  match(config.output, new RegExp(`${files.length} rule files found`));
  const alertmanager = await run(amtool, ["check-config", "alertmanager.yml"]);
  ok(alertmanager.success, alertmanager.output);
});

Deno.test("each alert is quiet, fires and resolves as its test says", async () => {
  const { promtool } = await debianObservePrograms();
  const tests = (await names("rules_tests")).map((name) => join("rules_tests", name));
  const result = await run(promtool, ["test", "rules", ...tests]);
  ok(result.success, result.output);
});

Deno.test("a rule that fires too early or never fails its test", async () => {
  const { promtool } = await debianObservePrograms();
  await using folder = await temporaryFolder();
  const plant = async (from: string, to: string) => {
    const text = await read("rules", "processes.yml");
    ok(text.includes(from), from);
    await Deno.mkdir(join(folder.path, "rules"), { recursive: true });
    await Deno.writeTextFile(
      join(folder.path, "rules", "processes.yml"),
      text.replace(from, to),
    );
    await Deno.mkdir(join(folder.path, "rules_tests"), { recursive: true });
    const test = join(folder.path, "rules_tests", "processes.yml");
    await Deno.writeTextFile(test, await read("rules_tests", "processes.yml"));
    return (await run(promtool, ["test", "rules", test])).output;
  };
  match(await plant("for: 1m", "for: 20m"), /FAILED/);
  match(
    await plant("abs(lotline_clock_offset_seconds) > 2", "lotline_clock_offset_seconds > 2"),
    /FAILED/,
  );
});

Deno.test("each alert has a test in which it fires, and one in which it doesn't", async () => {
  const [firing, quiet] = [new Set<string>(), new Set<string>()];
  for (const name of await names("rules_tests")) {
    const { tests, rule_files } = RuleTests.parse(parse(await read("rules_tests", name)));
    const own = alerts.filter(({ file }) => rule_files.includes(`../rules/${file}`));
    for (const { promql_expr_test, alert_rule_test } of tests) {
      for (const { exp_samples } of promql_expr_test) {
        const found = exp_samples.map(({ labels }) => /alertname="(\w+)"/.exec(labels)?.[1] ?? "");
        for (const alert of found) firing.add(alert);
        for (const { alert } of own) if (!found.includes(alert)) quiet.add(alert);
      }
      for (const { alertname, exp_alerts } of alert_rule_test) {
        (exp_alerts.length > 0 ? firing : quiet).add(alertname);
      }
    }
  }
  const expected = alerts.map(({ alert }) => alert).sort();
  const listed = (found: Set<string>) => expected.filter((alert) => found.has(alert));
  deepStrictEqual(listed(firing), expected);
  deepStrictEqual(listed(quiet), expected);
});

Deno.test("each alert says since when, whom it wakes, what happens, and gives a reason for its threshold", () => {
  for (const { alert, for: since, labels, annotations } of alerts) {
    ok(since !== undefined, `${alert} has no for`);
    match(labels.severity ?? "", /^(?:page|ticket)$/, alert);
    match(annotations.summary ?? "", /^.{10,90}$/, alert);
    match(annotations.description ?? "", /^[A-Z{].*\.$/, alert);
  }
  for (const { file, text } of rules) {
    for (const alert of withoutReason(text)) ok(false, `${alert} of ${file} has no comment`);
  }
  deepStrictEqual(withoutReason("groups:\n  - name: a\n    rules:\n      - alert: B\n"), ["B"]);
});

/** The alerts of a file of rules that have no comment before them. */
function withoutReason(text: string): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, at) => {
    const [, alert] = /^\s*- alert: (\w+)/.exec(line) ?? [];
    return alert === undefined || /^\s*# \S/.test(lines[at - 1] ?? "") ? [] : [alert];
  });
}

Deno.test("docs/observe.md lists each alert once, with its runbook, and each runbook exists", async () => {
  const rows = [...(await page("docs/observe.md")).matchAll(/^\| `(\w+)` +\|.*$/gm)]
    .map(([row, alert = ""]) => ({ row, alert }));
  // Those of the service levels have a page of their own.
  const listed = alerts.filter(({ file }) => file !== "service_levels.yml");
  deepStrictEqual(
    rows.map(({ alert }) => alert).sort(),
    listed.map(({ alert }) => alert).sort(),
  );
  for (const { alert, file, annotations: { runbook = "" } } of alerts) {
    const [, path, name = "", anchor] =
      /^(docs\/(runbooks\/[\w-]+\.md))(?:#([\w-]+))?$/.exec(runbook) ?? [];
    ok(path !== undefined, `${alert} has the runbook ${runbook}`);
    const row = file === "service_levels.yml"
      ? await page("docs/service-levels.md")
      : rows.find((one) => one.alert === alert)?.row ?? "";
    ok(row.includes(`\`${alert}\``), `no page lists ${alert}`);
    ok(row.includes(`(${name}`), `the row of ${alert} doesn't lead to ${name}`);
    const target = await page(path).catch(() => "");
    ok(target !== "", `${alert}: there is no ${path}`);
    ok(anchor === undefined || hasAnchor(target, anchor), `${path} has no anchor ${anchor}`);
  }
});

function hasAnchor(text: string, anchor: string): boolean {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replace(/[^\w\s-]/g, "").replaceAll(" ", "-")
  );
  return headings.includes(anchor) || text.includes(`<a id="${anchor}"></a>`);
}

Deno.test("the dashboards keep to Grafana's schema, and a field that it doesn't know is found", async () => {
  let program: string;
  try {
    program = await ensureGoProgram({
      name: "dashboard_schema",
      module: new URL("../testing/dashboard_schema/", import.meta.url),
      package: ".",
    });
  } catch (error) {
    if (!(error instanceof NeedsGo)) throw error;
    console.log(`${error.message}\nThe dashboards aren't checked here; CI checks them.`);
    return;
  }
  const check = async (...paths: string[]) => {
    const { stderr } = await new Deno.Command(program, { args: paths }).output();
    return new TextDecoder().decode(stderr);
  };
  const paths = [...dashboards.keys()].map((name) => join(DASHBOARDS_FOLDER, name));
  strictEqual(await check(...paths), "");
  await using folder = await temporaryFolder();
  const text = await Deno.readTextFile(paths[0] ?? "");
  for (
    const [from, to] of [["gridPos", "gridPosition"], ["legendFormat", "legend"], [
      '"schemaVersion": 41',
      '"schemaVersion": "41"',
    ]] as const
  ) {
    const planted = join(folder.path, "planted.json");
    ok(text.includes(from), from);
    await Deno.writeTextFile(planted, text.replace(from, to));
    match(await check(planted), /planted\.json: /, to);
  }
});

Deno.test("each panel says what it shows, and asks a provisioned source", async () => {
  const { datasources } = Provisioned.parse(
    parse(await read("grafana", "provisioning", "datasources", "datasources.yml")),
  );
  const uids = datasources.map(({ uid }) => uid);
  deepStrictEqual([...dashboards.keys()], [
    "api.json",
    "jobs.json",
    "migration.json",
    "plant.json",
  ]);
  for (const { title, panels } of dashboards.values()) {
    deepStrictEqual(new Set(panels.map(({ title }) => title)).size, panels.length, title);
    for (const { type, title, description, datasource, targets } of panels) {
      if (type === "row") continue;
      match(description ?? "", /\w\.$/, title);
      ok(uids.includes(datasource?.uid ?? ""), title);
      ok(targets.length > 0, title);
    }
  }
});

Deno.test("no panel lies on another, or beside the page", () => {
  for (const { title, panels } of dashboards.values()) {
    for (const [at, { gridPos: { x, y, w, h }, title: panel }] of panels.entries()) {
      ok(x >= 0 && x + w <= 24, `${title}: ${panel}`);
      const over = panels.slice(at + 1).filter(({ gridPos: other }) =>
        x < other.x + other.w && other.x < x + w && y < other.y + other.h && other.y < y + h
      );
      deepStrictEqual(over.map(({ title }) => title), [], `${title}: ${panel}`);
    }
  }
});

Deno.test("each series that a dashboard or a rule names is described in docs/metrics.md", async () => {
  const described = await page("docs/metrics.md");
  const queries = queriesOf(dashboards, "5m").map(({ query }) => query);
  const series = seriesOf([...queries, ...await ruleExpressions()]);
  ok(series.includes("lotline_outbox_rows") && series.length > 50, series.join());
  deepStrictEqual(series.filter((name) => !described.includes(`\`${name}`)), []);
});
