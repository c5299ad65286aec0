import { readPage } from "../contract-tests/pages.ts";
import type { ProcessName } from "../telemetry/process_metrics.ts";
import { readSamples, type Sample } from "./prometheus/samples.ts";

/** Which processes have the series of a table of docs/metrics.md, by its heading. */
const TABLES: Readonly<Record<string, readonly ProcessName[]>> = {
  "All processes": ["api", "worker", "gateway"],
  "API and worker": ["api", "worker"],
  "API": ["api"],
  "Worker": ["worker"],
  "Gateway": ["gateway"],
};

/** More would be no metrics but data. */
const MAX_SAMPLES = 3_000;
/** Units that aren't base units: https://prometheus.io/docs/practices/naming/#base-units */
const OTHER_UNITS =
  /_(ms|millis|milliseconds|micros|microseconds|minutes|hours|days|kb|mb|kilobytes|megabytes)(_|$)/;
/** What values of labels look like that come from fixed lists, buckets and versions. */
const LABEL_VALUE = /^[\w.+-]{1,64}$/;
const PARTS = ["_bucket", "_sum", "_count"];

/** What is wrong with a process's metrics, and where docs/metrics.md differs: a sentence each. */
export async function metricsMistakes(
  process: ProcessName,
  text: string,
): Promise<readonly string[]> {
  const listed = listedSeries(await readPage("docs/metrics.md"), process);
  return [
    ...mistakesOfText(text),
    ...mistakesOfSamples(text, await readSamples(text)),
    ...differences(text, await readSamples(text), listed),
  ];
}

interface Family {
  readonly name: string;
  readonly type: string;
}

const familiesOf = (text: string): readonly Family[] =>
  [...text.matchAll(/^# TYPE (\S+) (.*)$/gm)].map(([, name = "", type = ""]) => ({ name, type }));

/** About names, types and helps. */
export function mistakesOfText(text: string): readonly string[] {
  const families = familiesOf(text);
  const helps = [...text.matchAll(/^# HELP (\S+) ?(.*)$/gm)]
    .map(([, name = "", help = ""]) => ({ name, help }));
  const mistakes = families.flatMap(({ name, type }) => {
    const isOfUnit = /_(seconds|bytes)$/.test(name);
    return [
      helps.filter((one) => one.name === name).length === 1 || `${name} needs one help`,
      families.filter((one) => one.name === name).length === 1 || `${name} has several types`,
      /^(lotline|process)_[a-z]+(_[a-z]+)*$/.test(name) || `${name} is no name`,
      !OTHER_UNITS.test(name) || `${name} isn't in a base unit`,
      ["counter", "gauge", "histogram"].includes(type) || `${name} has the type ${type}`,
      (type === "counter") === name.endsWith("_total") || `${name} is a ${type}`,
      type !== "histogram" || isOfUnit || `${name} has no unit`,
      type === "histogram" || !PARTS.some((part) => name.endsWith(part)) ||
      `${name} is named as a part of a histogram`,
    ];
  });
  return [
    ...mistakes,
    ...helps.map(({ name, help }) =>
      /^[A-Z0-9].*[^.]\.$/.test(help) || `the help of ${name} is no sentence`
    ),
  ].filter((mistake) => typeof mistake === "string");
}

/** About samples: each belongs to a family, is there once, and has labels of fixed lists. */
function mistakesOfSamples(text: string, samples: readonly Sample[]): readonly string[] {
  const families = familiesOf(text);
  const seen = new Set<string>();
  const mistakes = samples.flatMap(({ name, labels, value }) => {
    const key = JSON.stringify([name, Object.entries(labels).sort()]);
    const isSecond = seen.has(key);
    seen.add(key);
    return [
      familyOf(name, families) !== undefined || `${name} has no type`,
      !isSecond || `${key} is there twice`,
      Number.isFinite(value) || `${key} is ${value}`,
      ...Object.values(labels).map((one) => LABEL_VALUE.test(one) || `${key} has an odd label`),
    ];
  });
  return [
    ...mistakes,
    samples.length <= MAX_SAMPLES || `${samples.length} samples`,
  ].filter((mistake) => typeof mistake === "string");
}

function familyOf(sample: string, families: readonly Family[]): Family | undefined {
  return families.find(({ name, type }) =>
    name === sample || type === "histogram" && PARTS.some((part) => sample === name + part)
  );
}

interface Listed {
  readonly name: string;
  readonly labels: readonly string[];
}

/** The series that a page lists for a process: the first cells of its tables' rows. */
export function listedSeries(page: string, process: ProcessName): readonly Listed[] {
  return page.split(/^## /m).slice(1).flatMap((section) => {
    const [heading = "", ...lines] = section.split("\n");
    if (!TABLES[heading.trim()]?.includes(process)) return [];
    return lines.flatMap((line) => {
      const [, name, labels = ""] = /^\| `(\w+)(?:\{([\w,]+)\})?`/.exec(line) ?? [];
      return name === undefined ? [] : [{ name, labels: labels.split(",").filter(Boolean) }];
    });
  });
}

/** What is listed and isn't there, is there and isn't listed, and has other labels than listed. */
function differences(
  text: string,
  samples: readonly Sample[],
  listed: readonly Listed[],
): readonly string[] {
  const families = familiesOf(text);
  const labelsOf = new Map(listed.map(({ name, labels }) => [name, labels.toSorted().join()]));
  return [
    ...listed.filter(({ name }) => !families.some((family) => family.name === name))
      .map(({ name }) => `${name} is listed in docs/metrics.md, and isn't there`),
    ...families.filter(({ name }) => !labelsOf.has(name))
      .map(({ name }) => `${name} isn't listed in docs/metrics.md`),
    ...new Set(samples.flatMap(({ name, labels }) => {
      const family = familyOf(name, families)?.name ?? name;
      const has = Object.keys(labels).filter((label) => label !== "le").sort().join();
      const expected = labelsOf.get(family);
      return expected === undefined || expected === has
        ? []
        : [`${family} has the labels ${has || "none"}, and docs/metrics.md lists ${expected}`];
    })),
  ];
}
